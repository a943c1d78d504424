package systemd

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// ownCgroup returns the name of a cgroup for one boot, which the test removes in the end.
func ownCgroup(t *testing.T) string {
	name := fmt.Sprintf("immutray-test-%d-%x", os.Getpid(), time.Now().UnixNano())
	t.Cleanup(func() {
		var out []byte
		// A killed process leaves its cgroup only some time later.
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			var err error
			if out, err = exec.Command("unshare", "--mount", "sh", "-c", `mount -t cgroup2 none /sys/fs/cgroup && cd /sys/fs/cgroup &&
if [ -d "$1" ]; then find "$1" -depth -type d -exec rmdir {} +; fi`, "sh", name).CombinedOutput(); err == nil {
				return
			}
		}
		t.Errorf("cannot remove the cgroup: %s", bytes.TrimSpace(out))
	})
	return name
}
