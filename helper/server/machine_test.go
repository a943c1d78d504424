package server

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

// probeVariable makes the test program print what the machine says of it.
const probeVariable = "IMMUTRAY_TEST_PROBE"

func probe() int {
	if err := (kernel{}).checkRoot(true); err != nil {
		fmt.Print(err)
	}
	return 0
}

func TestCheckRoot(t *testing.T) {
	const other = "cannot work in a user namespace: its root is not the root of this computer"
	root := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	for _, test := range []struct {
		name string
		attr *syscall.SysProcAttr
		want string
	}{
		{"root", &syscall.SysProcAttr{}, ""},
		{"a user", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}, "must run as root"},
		{"a user namespace", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: root, GidMappings: root}, other},
	} {
		if os.Getuid() != 0 {
			lab.Unavailable(t, "only root can be somebody else")
		}
		cmd := exec.Command("/proc/self/exe")
		// The race detector would sleep for a second before it lets the probe end.
		cmd.Env = []string{probeVariable + "=1", "GORACE=atexit_sleep_ms=0"}
		cmd.SysProcAttr = test.attr
		if out, err := cmd.Output(); err != nil || string(out) != test.want {
			t.Errorf("%s: %q, %v, want %q", test.name, out, err, test.want)
		}
	}
}
