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
	decision "immutray.org/helper/boot"
	"immutray.org/packaging/testbed/lab"
)

func TestTheBootRunsEachOnce(t *testing.T) {
	for _, verb := range []helper.Verb{helper.Seal, helper.Unseal} {
		unit, mark := unitOf(verb), "immutray-"+string(verb)
		options := read(t, unit)
		for name, want := range map[string][]string{
			"ExecStart":           {helper.HelperPath + " " + string(verb)},
			"ExecCondition":       {helper.HelperPath + " " + string(verb) + " --check"},
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

// "systemctl enable" and "disable" of the seal change both units.
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

// The units of the boot make no cycle with the other units of this machine.
func TestTheBootIsNoCycle(t *testing.T) {
	lab.Require(t, "systemd-analyze:systemd")
	out, _ := exec.Command("systemd-analyze", "verify", "--man=no", "./"+unitOf(helper.Seal), "./"+unitOf(helper.Unseal), "./"+cameUp, "sysinit.target", "system-update.target", "graphical.target").CombinedOutput()
	if strings.Contains(string(out), "cycle") {
		t.Errorf("%s", out)
	}
}

// The units' conditions are the helper's own decision, so one of the two runs at most.
func TestConditionsAreTheHelpers(t *testing.T) {
	s := newSandbox(t)
	captured, err := filepath.Glob("../../helper/cmdline/testdata/*.cmdline")
	if err != nil || len(captured) == 0 {
		t.Fatalf("no command lines: %v", err)
	}
	lines := []string{"", "ro rw quiet\n", "rootflags=subvol=@,rw", `a="b rw c" ro`, `dyndbg="file x +p" rw`, "ro rescue", "emergency rw"}
	for _, file := range captured {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data))
	}
	for _, line := range lines {
		s.commandLine(t, line)
		want, _ := decision.Facts{CommandLine: []byte(line)}.Decide()
		for _, verb := range []helper.Verb{helper.Seal, helper.Unseal} {
			command := values(read(t, unitOf(verb)), "ExecCondition")[0]
			words := strings.Fields(strings.Replace(command, helper.HelperPath, s.helper, 1))
			err := exec.Command(words[0], words[1:]...).Run()
			var exit *exec.ExitError
			// From 255 on the unit would fail (ExecCondition= in systemd.service(5)).
			if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != helper.ExitFailed) {
				t.Fatalf("%s: %v", command, err)
			}
			if (err == nil) != (want == verb) {
				t.Errorf("with %q %q ended with %v, but the boot is for %q", line, command, err, want)
			}
		}
	}
}

// A sealed boot is on record until it reaches its target. A failure on the way does not take
// it off the record.
func TestTheBootIsOnRecordUntilItHasComeUp(t *testing.T) {
	options := read(t, cameUp)
	const record = "/var/lib/immutray/unfinished-boots"
	for name, want := range map[string][]string{
		"Type":                {"oneshot"},
		"ConditionPathExists": {record},
		"ExecCondition":       {"systemctl --quiet is-active default.target multi-user.target"},
		"ExecStart":           {"/bin/rm -f " + record, "/bin/sync " + filepath.Dir(record)},
		"DefaultDependencies": nil, // it needs sysinit.target
		"RemainAfterExit":     nil, // another soft reboot is another boot
		"WantedBy":            nil,
	} {
		if got := values(options, name); !slices.Equal(got, want) {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
	after := strings.Fields(strings.Join(values(options, "After"), " "))
	for _, unit := range []string{unitOf(helper.Seal), "default.target", "multi-user.target", "graphical.target", "boot-complete.target"} {
		if !slices.Contains(after, unit) {
			t.Errorf("it is not after %s", unit)
		}
	}
	if got := values(read(t, unitOf(helper.Seal)), "Wants"); !slices.Equal(got, []string{cameUp}) {
		t.Errorf("the seal wants %q, want %q", got, cameUp)
	}
}
