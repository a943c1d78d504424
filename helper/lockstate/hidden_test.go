package lockstate

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// hide lays a read-only overlay over a directory.
func hide(t *testing.T, dir, more string) {
	t.Helper()
	if err := os.MkdirAll(more, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "mount", "-t", "overlay", "overlay", "-o", "lowerdir="+more+":"+dir, dir)
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// asAnotherProcess returns how somebody without rights reads the state of /etc. All of his
// threads have none.
func asAnotherProcess(t *testing.T, s *lab.System) string {
	t.Helper()
	command := exec.Command("/proc/self/exe", s.Etc)
	command.Env = append(os.Environ(), readerVariable+"=yes")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// readerVariable makes the test binary read the state of a path instead.
const readerVariable = "IMMUTRAY_TEST_READER"

func readAs(name string) {
	p := ReadPaths([]string{name}).Paths[0]
	fmt.Printf("%s: %s\n", p.State, p.Error)
}

// Of a subvolume that another mount hides the state is that of the subvolume, and where
// nobody but root can look at that, it is unknown: never that of what is on top alone.
func TestReadOfAHiddenSubvolume(t *testing.T) {
	s := lab.New(t)
	r := &Reader{Paths: s.Protected(), StateDir: s.State}
	more := filepath.Join(s.Root, "var/lib/more")
	hide(t, s.Etc, more)
	for _, c := range []struct {
		ro   string
		want helper.State
	}{{"true", helper.Locked}, {"false", helper.MountOnly}} {
		run(t, "btrfs", "property", "set", filepath.Join(s.Top, "ROOTVOL/etc"), "ro", c.ro)
		got := r.Read().Paths[1]
		if got.State != c.want || got.OnTop != "overlay" || got.Subvolume != "/ROOTVOL/etc" || got.Filesystem != "btrfs" || got.SubvolumeID < 256 {
			t.Errorf("ro %s: root reads %+v", c.ro, got)
		}
		// Through the mount of the whole file system everybody can look at it.
		if theirs, want := asAnotherProcess(t, s), string(c.want)+": \n"; theirs != want {
			t.Errorf("ro %s: nobody reads %q, want %q", c.ro, theirs, want)
		}
	}
	if err := unix.Unmount(s.Top, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run(t, "mount", "-o", "subvolid=5", s.Device, s.Top) })
	if got := r.Read().Paths[1]; got.State != helper.MountOnly {
		t.Errorf("where no path leads there, root reads %+v", got)
	}
	theirs := asAnotherProcess(t, s)
	if !strings.Contains(theirs, "unknown: cannot tell the state") || !strings.Contains(theirs, "only root can") {
		t.Errorf("where no path leads there, nobody reads %s", theirs)
	}
}
