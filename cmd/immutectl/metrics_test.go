package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/statefile"
	"immutray.org/packaging/testbed/lab"
)

// promLine is one of the lines that the text format has: a comment about a family, or a
// sample (prometheus.io, "Exposition formats", text-based format 0.0.4).
var (
	promHelp   = regexp.MustCompile(`^# HELP ([a-z][a-z0-9_]*) ([^\\\n]+)$`)
	promType   = regexp.MustCompile(`^# TYPE ([a-z][a-z0-9_]*) gauge$`)
	promSample = regexp.MustCompile(`^([a-z][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?[0-9]+(?:\.[0-9]+)?)$`)
	promLabel  = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"(,|$)`)
)

// parseMetrics reads strictly, and returns each sample by its name and its labels as
// NAME LABEL=VALUE…
func parseMetrics(t *testing.T, text string) map[string]float64 {
	t.Helper()
	if !strings.HasSuffix(text, "\n") {
		t.Fatal("the last line does not end")
	}
	samples, families := map[string]float64{}, map[string]bool{}
	helped, typed := "", ""
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if m := promHelp.FindStringSubmatch(line); m != nil {
			if families[m[1]] {
				t.Errorf("family %s is there twice", m[1])
			}
			families[m[1]], helped = true, m[1]
			continue
		}
		if m := promType.FindStringSubmatch(line); m != nil {
			if m[1] != helped {
				t.Errorf("%q does not follow its HELP", line)
			}
			typed = m[1]
			continue
		}
		m := promSample.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%q is no line of the format", line)
			continue
		}
		if m[1] != typed || m[1] != helped {
			t.Errorf("%q does not stand in its family", line)
		}
		key := m[1]
		rest := m[2]
		for _, label := range promLabel.FindAllStringSubmatch(rest, -1) {
			key += " " + label[1] + "=" + strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(label[2])
			rest = strings.TrimPrefix(rest, label[0])
		}
		if rest != "" || strings.HasSuffix(m[2], ",") {
			t.Errorf("%q has labels that are none: %q", line, rest)
		}
		if _, twice := samples[key]; twice {
			t.Errorf("sample %q is listed twice", key)
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		samples[key] = value
	}
	return samples
}

// expectMetrics holds the samples whose names begin so against what they should be.
func expectMetrics(t *testing.T, got map[string]float64, prefix string, want map[string]float64) {
	t.Helper()
	for key, value := range got {
		if name, _, _ := strings.Cut(key, " "); !strings.HasPrefix(name, prefix) {
			continue
		}
		if _, wanted := want[key]; !wanted {
			t.Errorf("%s = %v should not be there", key, value)
		}
	}
	for key, value := range want {
		if v, ok := got[key]; !ok || v != value {
			t.Errorf("%s = %v, %v, want %v", key, v, ok, value)
		}
	}
}

var promNow = time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC)

func TestMetricsOfAnUnlockedSystem(t *testing.T) {
	until := promNow.Add(37 * time.Minute)
	got := parseMetrics(t, metrics(helper.Status{
		State: helper.Unlocked,
		Paths: []helper.PathStatus{
			{Path: "/", Property: helper.Writable, Mount: helper.Writable, Superblock: helper.Writable, State: helper.Unlocked},
			{Path: "/etc", Property: helper.ReadOnly, Mount: helper.ReadOnly, Superblock: helper.Writable, State: helper.Locked},
			{Path: "/boot", Property: helper.NoFlag, Mount: helper.ReadOnly, Superblock: helper.ReadOnly, State: helper.Locked},
			{Path: "/srv", State: helper.Unknown, Error: "it is not a mount point"},
		},
		Window: &helper.Window{Since: promNow.Add(-90*time.Second - 500*time.Millisecond), Until: &until},
	}, &statefile.Seal{Outcome: helper.Blocked, Finished: promNow.Add(-time.Hour)}, promNow))
	expectMetrics(t, got, "immutray_", map[string]float64{
		"immutray_info version=" + helper.Version(): 1,
		"immutray_locked":                                     0,
		"immutray_partly_locked":                              0,
		"immutray_state state=locked":                         0,
		"immutray_state state=partly-locked":                  0,
		"immutray_state state=unlocked":                       1,
		"immutray_state state=unknown":                        0,
		"immutray_unlocked_seconds":                           90.5,
		"immutray_window_end_timestamp_seconds":               float64(until.Unix()),
		"immutray_running_commands":                           0,
		"immutray_config_accepted":                            1,
		"immutray_path_locked path=/":                         0,
		"immutray_path_locked path=/etc":                      1,
		"immutray_path_locked path=/boot":                     1,
		"immutray_path_locked path=/srv":                      0,
		"immutray_path_read_only path=/ layer=property":       0,
		"immutray_path_read_only path=/ layer=mount":          0,
		"immutray_path_read_only path=/ layer=superblock":     0,
		"immutray_path_read_only path=/etc layer=property":    1,
		"immutray_path_read_only path=/etc layer=mount":       1,
		"immutray_path_read_only path=/etc layer=superblock":  0,
		"immutray_path_read_only path=/boot layer=mount":      1,
		"immutray_path_read_only path=/boot layer=superblock": 1,
		"immutray_seal_success":                               0,
		"immutray_seal_timestamp_seconds":                     float64(promNow.Add(-time.Hour).Unix()),
	})
}

func TestMetricsOfEveryState(t *testing.T) {
	for _, state := range []helper.State{helper.Locked, helper.PartlyLocked, helper.Unlocked, helper.Unknown} {
		got := parseMetrics(t, metrics(helper.Status{State: state}, nil, promNow))
		want := map[string]float64{"immutray_locked": number(state == helper.Locked), "immutray_partly_locked": number(state == helper.PartlyLocked)}
		for _, s := range []helper.State{helper.Locked, helper.PartlyLocked, helper.Unlocked, helper.Unknown} {
			want["immutray_state state="+string(s)] = number(s == state)
		}
		// Since when it is unlocked is not known without a window, but when it is locked.
		if state == helper.Locked {
			want["immutray_unlocked_seconds"] = 0
		}
		want["immutray_info version="+helper.Version()] = 1
		want["immutray_running_commands"] = 0
		want["immutray_config_accepted"] = 1
		expectMetrics(t, got, "immutray_", want)
	}
	// A clock that was set back makes no window of less than nothing.
	got := parseMetrics(t, metrics(helper.Status{State: helper.Unlocked, Window: &helper.Window{Since: promNow.Add(time.Hour)}}, nil, promNow))
	if seconds, ok := got["immutray_unlocked_seconds"]; !ok || seconds != 0 {
		t.Errorf("unlocked for %v seconds, %v, want 0", seconds, ok)
	}
	got = parseMetrics(t, metrics(helper.Status{State: helper.Locked}, &statefile.Seal{Outcome: helper.Done, Finished: promNow}, promNow))
	if got["immutray_seal_success"] != 1 {
		t.Error("a seal that was done was no success")
	}
}

// For everything but the command it is locked, and no alert is due.
func TestMetricsWhileACommandAloneCanWrite(t *testing.T) {
	status := helper.Status{Paths: []helper.PathStatus{
		{Path: "/", Property: helper.Writable, Mount: helper.ReadOnly, Superblock: helper.Writable, State: helper.MountOnly},
	}}
	status.SetRuns([]helper.Run{{Command: []string{"apt"}}})
	expectMetrics(t, parseMetrics(t, metrics(status, nil, promNow)), "immutray_path", map[string]float64{
		"immutray_running_commands":                       1,
		"immutray_locked":                                 1,
		"immutray_unlocked_seconds":                       0,
		"immutray_path_locked path=/":                     1,
		"immutray_path_read_only path=/ layer=property":   0,
		"immutray_path_read_only path=/ layer=mount":      1,
		"immutray_path_read_only path=/ layer=superblock": 0,
	})
}

func TestMetricsEscapeOddPaths(t *testing.T) {
	odd := []string{`/a"b`, `/a\b`, `/a\nb`, "/a\nb", "/a\tb", `/{a="b"} 1`, "/é🔒", `/\`, ""}
	var paths []helper.PathStatus
	for _, name := range odd {
		paths = append(paths, helper.PathStatus{Path: name, State: helper.Locked})
	}
	got := parseMetrics(t, metrics(helper.Status{State: helper.Locked, Paths: paths}, nil, promNow))
	for _, name := range odd {
		if got["immutray_path_locked path="+name] != 1 {
			t.Errorf("path %q is not there: %v", name, got)
		}
	}
	broken := []helper.PathStatus{{Path: "/\xff", State: helper.Locked}}
	if got := parseMetrics(t, metrics(helper.Status{Paths: broken}, nil, promNow)); got["immutray_path_locked path=/\uFFFD"] != 1 {
		t.Errorf("a path that is not UTF-8 is %v", got)
	}
}

// Others make alerts of the names.
func TestManualHasEveryMetric(t *testing.T) {
	manual, err := os.ReadFile("../../packaging/man/immutectl.1")
	if err != nil {
		t.Fatal(err)
	}
	status := helper.Status{
		Paths:  []helper.PathStatus{{Path: "/", Mount: helper.ReadOnly}},
		Window: &helper.Window{Until: &promNow},
	}
	for key := range parseMetrics(t, metrics(status, &statefile.Seal{}, promNow)) {
		name, _, _ := strings.Cut(key, " ")
		if !regexp.MustCompile(name + `\b`).Match(manual) {
			t.Errorf("the manual lacks %s", name)
		}
	}
}

// FuzzMetrics looks for a path that breaks the format.
func FuzzMetrics(f *testing.F) {
	f.Add("/etc")
	f.Add("/a\"} 1\nimmutray_locked 1\n")
	f.Fuzz(func(t *testing.T, name string) {
		status := helper.Status{Paths: []helper.PathStatus{{Path: name, Mount: helper.ReadOnly}}}
		got := parseMetrics(t, metrics(status, nil, promNow))
		if _, ok := got["immutray_path_locked path="+strings.ToValidUTF8(name, "\uFFFD")]; !ok || len(got) != 11 {
			t.Errorf("path %q: %v", name, got)
		}
	})
}

// On a read-only directory nothing is left behind, and it is said what to do.
func TestMetricsIntoAReadOnlyDirectory(t *testing.T) {
	dir := lab.Dir(t)
	if err := unix.Mount("metrics", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	file := filepath.Join(dir, "immutray.prom")
	a := &app{}
	if err := a.exportMetrics("old 1\n", file); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	err := a.exportMetrics("new 1\n", file)
	f, ok := err.(*failure)
	if !ok || f.code != helper.ExitFailed || !strings.HasPrefix(f.Error(), "cannot write the metrics: open "+file) ||
		!slices.Equal(f.hints, []string{"Choose a directory that stays writable while the system is locked, such as one in /var/lib."}) {
		t.Errorf("exportMetrics() = %+v", err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "old 1\n" {
		t.Errorf("the file has %q, %v", got, err)
	}
}
