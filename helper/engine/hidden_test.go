package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// An overlay over /etc, which systemd-confext makes, is not what was to be locked: the
// subvolume below it can be written to through every other mount.
func TestASubvolumeBelowAnOverlayIsNotCalledLocked(t *testing.T) {
	f := newFixture(t)
	f.command("mount", "-t", "tmpfs", "none", "/run")
	defer unix.Unmount("/run", unix.MNT_DETACH)
	upper, work := "/run/upper", "/run/work"
	for _, d := range []string{upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.command("mount", "-t", "overlay", "overlay", "-o", "lowerdir="+f.Etc+",upperdir="+upper+",workdir="+work, f.Etc)
	r := f.run(helper.Lock)
	if r.Outcome == helper.Done || !strings.Contains(r.Error, "is mounted over its subvolume") {
		t.Errorf("lock = %s: %s", r.Outcome, r.Error)
	}
	status := f.status()
	if p := status.Paths[1]; p.State != helper.Unknown || p.Error == "" || status.State == helper.Locked {
		t.Errorf("the system is %s, %+v", status.State, p)
	}
	if p := status.Paths[0]; p.State != helper.Locked {
		t.Errorf("the other path is %s", p.State)
	}
	if err := f.Writable(filepath.Join(f.Top, "ROOTVOL/etc")); err != nil {
		t.Errorf("the subvolume below: %v", err)
	}
	if err := unix.Unmount(f.Etc, 0); err != nil {
		t.Fatal(err)
	}
	f.must(helper.Lock)
	f.expect("without the overlay", helper.Locked)
}
