package tray

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"immutray.org/notify/notifytest"
)

// program runs immutray in a process of its own, until it ends.
func program(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), childVariable+"=program", "XDG_CONFIG_HOME="+t.TempDir(), practiceVariable+"=1")
	cmd.Env = append(cmd.Env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"help", []string{"--help"}, exitDone, "Usage: immutray [OPTION]", ""},
		{"short help", []string{"-h"}, exitDone, "Usage: immutray [OPTION]", ""},
		{"version", []string{"--version"}, exitDone, "immutray ", ""},
		{"version in short", []string{"-v"}, exitDone, "immutray ", ""},
		{"unknown option", []string{"--unlock"}, exitUsage, "", "immutray: error: flag provided but not defined: -unlock\nimmutray: hint: see \"immutray --help\"\n"},
		{"argument", []string{"unlock"}, exitUsage, "", "immutray: error: unexpected argument \"unlock\"\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := Main(test.args, &stdout, &stderr)
			if code != test.code || !strings.HasPrefix(stdout.String(), test.stdout) || !strings.HasPrefix(stderr.String(), test.stderr) {
				t.Errorf("immutray %q = %d, %q, %q, want %d, %q, %q", test.args, code, &stdout, &stderr, test.code, test.stdout, test.stderr)
			}
			if test.stderr == "" && stderr.Len() > 0 {
				t.Errorf("immutray %q complains: %s", test.args, &stderr)
			}
		})
	}
}

func TestRootIsRefused(t *testing.T) {
	for _, test := range []struct {
		uid      int
		practice string
		want     bool
	}{
		{0, "", true}, {0, "0", true}, {0, "yes", true}, {0, "1", false}, {1000, "", false}, {1000, "1", false},
	} {
		if got := refused(test.uid, test.practice); got != test.want {
			t.Errorf("refused(%d, %q) = %v, want %v", test.uid, test.practice, got, test.want)
		}
	}
}

func TestWithoutSessionBus(t *testing.T) {
	for name, address := range map[string]string{
		"none":         "",
		"to be made":   "autolaunch:", // no other program would use a bus that is started for us
		"gone":         "unix:path=/nonexistent/bus",
		"no such kind": "carrier-pigeon:",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := program(t, []string{"DBUS_SESSION_BUS_ADDRESS=" + address, "XDG_RUNTIME_DIR=" + t.TempDir(), "DISPLAY="})
			if code != exitFailed || stdout != "" {
				t.Errorf("exit code %d, standard output %q, want %d and none", code, stdout, exitFailed)
			}
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			if len(lines) != 2 || !strings.HasPrefix(lines[0], "immutray: error: cannot reach the session bus: ") ||
				!strings.HasPrefix(lines[1], "immutray: hint: start immutray in a desktop session") {
				t.Errorf("standard error is\n%s", stderr)
			}
		})
	}
}

func TestAlreadyRunningIsNoError(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	if _, err := bus.Connect(t).RequestName(appletName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := program(t, []string{"DBUS_SESSION_BUS_ADDRESS=" + bus.Address})
	if code != exitDone || stdout != "immutray is already running in this session\n" || stderr != "" {
		t.Errorf("exit code %d, output %q and %q", code, stdout, stderr)
	}
}
