package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) {
	if os.Getenv(probeVariable) != "" {
		os.Exit(probe())
	}
	lab.Main(m)
}

// probeVariable makes the test program print whether systemd is PID 1, where /run says so.
const probeVariable = "IMMUTRAY_TEST_PROBE"

func probe() int {
	err := unix.Mount("none", "/run", "tmpfs", 0, "")
	if err == nil {
		err = os.MkdirAll("/run/systemd/system", 0o755)
	}
	fmt.Print(Booted(), err)
	return 0
}

// In a PID namespace the machine's /run may be visible. What is asked for in there must
// not be done to the machine.
func TestBootedInAnotherPIDNamespace(t *testing.T) {
	if os.Getuid() != 0 || !lab.Inside() {
		lab.Unavailable(t, "it takes the namespaces of the lab")
	}
	cmd := exec.Command("/proc/self/exe")
	// The race detector would sleep for a second before it lets the probe end.
	cmd.Env = []string{probeVariable + "=1", "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.Output(); err != nil || string(out) != "false <nil>" {
		t.Errorf("Booted() = %q, %v, want false where PID 1 is not systemd", out, err)
	}
}
