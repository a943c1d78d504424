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

func TestSealRunsOnceAtBoot(t *testing.T) {
	options := read(t, unitOf(helper.Seal))
	for name, want := range map[string][]string{
		"ExecStart":           {helper.HelperPath + " seal"},
		"Type":                {"oneshot"},
		"DefaultDependencies": {"no"},
		"After":               {"local-fs.target"},
		"WantedBy":            {"sysinit.target"},
		"Conflicts":           {"shutdown.target"},
		"PrivateMounts":       {"no"},
		// Else every start of a service would lock what was unlocked after the boot: it
		// starts again what sysinit.target wants and is not active.
		"RemainAfterExit":          {"yes"},
		"ConditionPathExists":      {"!/run/immutray-seal"},
		"RuntimeDirectory":         {"immutray-seal"},
		"RuntimeDirectoryPreserve": {"yes"},
		"ExecStop":                 {"/bin/rmdir /run/immutray-seal"},
	} {
		if got := values(options, name); !slices.Equal(got, want) {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
	before := strings.Fields(strings.Join(values(options, "Before"), " "))
	for _, unit := range []string{"sysinit.target", "shutdown.target", "systemd-tmpfiles-setup.service"} {
		if !slices.Contains(before, unit) {
			t.Errorf("it is not before %s", unit)
		}
	}
	for _, unit := range []string{
		"systemd-sysusers.service",    // comes before local-fs-pre.target
		"systemd-udevd.service",       // local-fs.target waits for its devices
		"systemd-hwdb-update.service", // which udev waits for
		"local-fs.target",
	} {
		if slices.Contains(before, unit) {
			t.Errorf("it can't be before %s", unit)
		}
	}
	for _, name := range []string{"ConditionKernelCommandLine", "ExecStartPre", "ExecStartPost", "User", "Group", "SuccessExitStatus"} {
		if got := values(options, name); got != nil {
			t.Errorf("it has %s=%q", name, got)
		}
	}
}

// No order that the other units of this machine have is the reverse of the seal's.
func TestSealIsInNoCycle(t *testing.T) {
	lab.Require(t, "systemd-analyze:systemd")
	out, _ := exec.Command("systemd-analyze", "verify", "--man=no", "./"+unitOf(helper.Seal), "sysinit.target").CombinedOutput()
	if strings.Contains(string(out), "cycle") {
		t.Errorf("%s", out)
	}
}

// The unit's condition and the helper read the kernel command line alike. Where they
// don't, it is the helper that decides: the unit skips nothing that is to be sealed.
func TestSealConditionAgreesWithTheHelper(t *testing.T) {
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
		lines = append(lines, string(data))
	}
	for _, words := range []string{
		"", "rw", "ro rw quiet", "quiet\trw", "rw\n", "rootflags=subvol=@,rw", "foo=rw", "rw=1", "rwx", "*", "-n",
		"rescue", "single", "-s", "s", "S", "1", "emergency", "-b", "rescue=1", "single 3", "5 single", "s=1",
		"systemd.unit=rescue.target", "systemd.unit=emergency.target", "systemd.unit=multi-user.target",
		"rescue systemd.unit=graphical.target", "systemd.unit=emergency.target systemd.unit=x", "a\\ rw",
	} {
		lines = append(lines, "root=/dev/sda2 ro "+words, words+" quiet splash\n")
	}
	for _, line := range lines {
		wanted, _ := cmdline.SealWanted([]byte(line))
		if runs := conditionHolds(t, line); runs != wanted {
			t.Errorf("with %q the condition is %v, want %v", line, runs, wanted)
		}
	}
	for _, line := range []string{`a="b rw c"`, `"rw"`, `a="rescue `, `dyndbg="file x +p" rw`} {
		if !conditionHolds(t, line) {
			t.Errorf("with %q the condition decides, want it left to the helper", line)
		}
	}
}

// conditionHolds runs the unit's ExecCondition= on a command line.
func conditionHolds(t *testing.T, line string) bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cmdline")
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	program, script, ok := strings.Cut(values(read(t, unitOf(helper.Seal)), "ExecCondition")[0], " -c ")
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
