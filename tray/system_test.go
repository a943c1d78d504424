package tray

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/lockstate"
	"immutray.org/notify/notifytest"
)

// newSystem returns a system whose configuration is the file's text: a path to
// protect, or "bad". The trust in real configurations is for package config to test.
func newSystem(t *testing.T, text string) *machine {
	t.Helper()
	s := &machine{Clock: notifytest.NewClock(testNow)}
	s.Config.File = filepath.Join(t.TempDir(), "config")
	path := s.Config.File
	s.loadConfig = func() config.Config {
		c := config.Config{Paths: []string{"/"}, StateDir: filepath.Dir(path), RelockOn: helper.Occasions()}
		data, err := os.ReadFile(path)
		if err != nil || string(data) == "bad" {
			c.Refused = config.Refuse(path, errors.New("it is bad"))
		} else {
			c.Paths = []string{string(data)}
		}
		return c
	}
	writeConfig(t, s, text)
	return s
}

func writeConfig(t *testing.T, s *machine, text string) {
	t.Helper()
	// A new file, as editors and package managers do it: another inode.
	fresh := s.Config.File + ".new"
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, s.Config.File); err != nil {
		t.Fatal(err)
	}
}

// watch runs Watch until the test ends.
func watch(t *testing.T, s *machine) <-chan report {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reports := make(chan report, 16)
	ended := make(chan error, 1)
	go func() { ended <- s.Watch(ctx, func(r report) { reports <- r }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Watch() = %v", err)
			}
		case <-time.After(timeout):
			t.Error("Watch does not end")
		}
	})
	return reports
}

func next(t *testing.T, reports <-chan report) report {
	t.Helper()
	select {
	case r := <-reports:
		return r
	case <-time.After(timeout):
		t.Fatal("no report")
		return report{}
	}
}

func TestSystemFollowsItsConfiguration(t *testing.T) {
	s := newSystem(t, "bad")
	reports := watch(t, s)
	r := next(t, reports)
	if len(r.Status.Paths) != 1 || r.Status.State == helper.Unknown || !strings.Contains(r.Status.ConfigError, "it is bad") {
		t.Errorf("with a bad configuration the report is %+v", r)
	}
	dir := t.TempDir()
	writeConfig(t, s, dir)
	clock := s.Clock.(*notifytest.Clock)
	clock.Await(t, configEvery)
	clock.Advance(configEvery)
	r = next(t, reports)
	if len(r.Status.Paths) != 1 || r.Status.Paths[0].Path != dir || r.Status.ConfigError != "" || !slices.Equal(r.RelockOn, helper.Occasions()) {
		t.Errorf("with a good configuration the report is %+v", r)
	}
	clock.Await(t, configEvery)
	writeConfig(t, s, "bad")
	clock.Advance(configEvery)
	if r := next(t, reports); len(r.Status.Paths) != 1 || r.Status.Paths[0].Path != "/" || r.Status.ConfigError == "" {
		t.Errorf("with a configuration gone bad the report is %+v", r)
	}
}

func TestSystemReadsAtOnceAfterARequest(t *testing.T) {
	s := newSystem(t, "bad")
	if r := s.Read(); r.Status.ConfigError == "" {
		t.Errorf("Read() = %+v, want the configuration refused", r)
	}
	writeConfig(t, s, "/")
	if r := s.Read(); len(r.Status.Paths) != 1 || r.Status.Paths[0].Path != "/" || r.Status.ConfigError != "" {
		t.Errorf("Read() = %+v, want / read", r)
	}
}

func TestSystemThatCantBeWatchedIsReadNowAndThen(t *testing.T) {
	s := newSystem(t, "/")
	var told []error
	s.Failed = func(err error) { told = append(told, err) }
	s.watchReader = func(*lockstate.Reader, context.Context, func(helper.Status)) error {
		return errors.New("no inotify instance left")
	}
	reports := watch(t, s)
	clock := s.Clock.(*notifytest.Clock)
	for range 3 {
		if r := next(t, reports); len(r.Status.Paths) != 1 {
			t.Errorf("the report is %+v", r)
		}
		clock.Await(t, watchAgain)
		clock.Advance(watchAgain)
	}
	next(t, reports)
	if len(told) != 1 || !strings.Contains(told[0].Error(), "inotify") {
		t.Errorf("Failed was called with %v, want one error", told)
	}
}

func TestUnprepared(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		cfg  config.Config
		want []string // parts of the lines
	}{
		{"fit", config.Config{Paths: []string{"/"}}, nil},
		{"no mount point", config.Config{Paths: []string{"/", dir}}, []string{"not a mount point"}},
		{"missing", config.Config{Paths: []string{filepath.Join(dir, "missing")}}, []string{"no such file"}},
		{"a file", config.Config{Paths: []string{file}}, []string{"not a directory"}},
		{"an island on no file system of its own", config.Config{Paths: []string{"/"}, Islands: []string{"/usr"}},
			[]string{"no subvolume or file system of its own: /usr"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			reasons, frozen := unprepared(test.cfg)
			if told := strings.Join(frozen, "\n"); strings.HasPrefix(told, "/usr needs a subvolume of its own") != (test.cfg.Islands != nil) {
				t.Errorf("unprepared() returns %q", told)
			}
			if len(reasons) != len(test.want) {
				t.Fatalf("unprepared() = %q, want %q", reasons, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(reasons[i], want) || strings.Contains(reasons[i], "not fit to be protected") {
					t.Errorf("line %d is %q, want %q", i, reasons[i], want)
				}
			}
		})
	}
}
