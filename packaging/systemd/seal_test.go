package systemd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/cmdline"
	"immutray.org/packaging/practice/lab"
)

func TestTheBootRunsEachOnce(t *testing.T) {
	for _, verb := range []helper.Verb{helper.Seal, helper.Unseal} {
		unit, mark := unitOf(verb), "immutray-"+string(verb)
		options := read(t, unit)
		for name, want := range map[string][]string{
			"ExecStart":           {helper.HelperPath + " " + string(verb)},
			"Type":                {"oneshot"},
			"DefaultDependencies": {"no"},
			"After":               {"local-fs.target"},
			"WantedBy":            {"sysinit.target"},
			"RequiredBy":          nil, // the system starts all the same if it fails
			"Conflicts":           {"shutdown.target"},
			"PrivateMounts":       {"no"},
			// Else every start of a service would undo what was done after the boot: it
			// starts again what sysinit.target wants and is not active.
			"RemainAfterExit":          {"yes"},
			"ConditionPathExists":      {"!/run/" + mark},
			"RuntimeDirectory":         {mark},
			"RuntimeDirectoryPreserve": {"yes"},
			"ExecStop":                 {"/bin/rmdir /run/" + mark},
		} {
			if got := values(options, name); !slices.Equal(got, want) {
				t.Errorf("%s: %s=%q, want %q", unit, name, got, want)
			}
		}
		before := strings.Fields(strings.Join(values(options, "Before"), " "))
		for _, other := range []string{"sysinit.target", "shutdown.target", "systemd-tmpfiles-setup.service"} {
			if !slices.Contains(before, other) {
				t.Errorf("%s is not before %s", unit, other)
			}
		}
		for _, other := range []string{
			"systemd-sysusers.service",    // comes before local-fs-pre.target
			"systemd-udevd.service",       // local-fs.target waits for its devices
			"systemd-hwdb-update.service", // which udev waits for
			"local-fs.target",
		} {
			if slices.Contains(before, other) {
				t.Errorf("%s can't be before %s", unit, other)
			}
		}
		for _, name := range []string{"ConditionKernelCommandLine", "ExecStartPre", "ExecStartPost", "User", "Group", "SuccessExitStatus"} {
			if got := values(options, name); got != nil {
				t.Errorf("%s has %s=%q", unit, name, got)
			}
		}
	}
}

// "systemctl enable" and "disable" of the seal mean both units.
func TestEnablingTheSealEnablesBoth(t *testing.T) {
	lab.Require(t, "systemctl:systemd")
	root := t.TempDir()
	dir := filepath.Join(root, "usr/lib/systemd/system")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	units := []string{unitOf(helper.Seal), unitOf(helper.Unseal)}
	for _, unit := range units {
		data, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, unit), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		verb string
		want []string
	}{{"enable", units}, {"disable", nil}} {
		if out, err := exec.Command("systemctl", "--root="+root, step.verb, unitOf(helper.Seal)).CombinedOutput(); err != nil {
			t.Fatalf("systemctl %s: %v: %s", step.verb, err, out)
		}
		links, err := filepath.Glob(filepath.Join(root, "etc/systemd/system/sysinit.target.wants/*"))
		if err != nil {
			t.Fatal(err)
		}
		for i, link := range links {
			links[i] = filepath.Base(link)
		}
		if !slices.Equal(links, step.want) {
			t.Errorf("after %s these are wanted: %q, want %q", step.verb, links, step.want)
		}
	}
}

// No order that the other units of this machine have is the reverse of theirs.
func TestTheBootIsNoCycle(t *testing.T) {
	lab.Require(t, "systemd-analyze:systemd")
	out, _ := exec.Command("systemd-analyze", "verify", "--man=no", "./"+unitOf(helper.Seal), "./"+unitOf(helper.Unseal), "sysinit.target").CombinedOutput()
	if strings.Contains(string(out), "cycle") {
		t.Errorf("%s", out)
	}
}

// The units' conditions and the helper read the kernel command line alike, so one of
// the two runs at most. One with quotes is left to the helper.
func TestConditionsAgreeWithTheHelper(t *testing.T) {
	captured, err := filepath.Glob("../../helper/cmdline/testdata/*.cmdline")
	if err != nil || len(captured) == 0 {
		t.Fatalf("no command lines: %v", err)
	}
	var lines []string
	for _, file := range captured {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data), "rw "+string(data))
	}
	for _, words := range []string{
		"", "rw", "ro rw quiet", "quiet\trw", "rw\n", "rootflags=subvol=@,rw", "foo=rw", "rw=1", "rwx", "*", "-n",
		"rescue", "single", "-s", "s", "S", "1", "emergency", "-b", "rescue=1", "single 3", "5 single", "s=1",
		"systemd.unit=rescue.target", "systemd.unit=emergency.target", "systemd.unit=multi-user.target",
		"rescue systemd.unit=graphical.target", "systemd.unit=emergency.target systemd.unit=x", "a\\ rw",
		"rescue rw", "rw emergency", "RW", "rw=",
		`a="b rw c"`, `"rw"`, `a="rescue `, `dyndbg="file x +p" rw`,
	} {
		lines = append(lines, "root=/dev/sda2 ro "+words, words+" quiet splash\n")
	}
	for verb, read := range map[helper.Verb]func([]byte) (bool, string){helper.Seal: cmdline.SealWanted, helper.Unseal: cmdline.UnsealWanted} {
		for _, line := range lines {
			want, _ := read([]byte(line))
			want = want || strings.Contains(line, `"`)
			if runs := conditionHolds(t, verb, line); runs != want {
				t.Errorf("%s: with %q the condition is %v, want %v", verb, line, runs, want)
			}
		}
	}
}

// conditionHolds runs the ExecCondition= of a unit on a command line.
func conditionHolds(t *testing.T, verb helper.Verb, line string) bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cmdline")
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	program, script, ok := strings.Cut(values(read(t, unitOf(verb)), "ExecCondition")[0], " -c ")
	if !ok {
		t.Fatal("ExecCondition= is no script")
	}
	// As systemd reads it: systemd.syntax(7), systemd.service(5).
	script = strings.NewReplacer(`\\`, `\`, "$$", "$", cmdline.Path, file).Replace(strings.Trim(script, "'"))
	out, err := exec.Command(program, "-c", script).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	return err == nil
}
