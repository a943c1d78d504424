package mount

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// EachOn has the same mounts as the mount table, in the same order, whatever the root
// directory of the caller is.
func TestEachOnAgreesWithTheMountTable(t *testing.T) {
	requireRoot(t)
	OnOwnThread(func() {
		if err := separate(); err != nil {
			t.Error(err)
			return
		}
		dir := t.TempDir()
		if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
			t.Errorf("mount: %v", err)
			return
		}
		defer unix.Unmount(dir, unix.MNT_DETACH)
		const few = listAtOnce + 20 // so that one call is not enough
		for i := range few {
			at := filepath.Join(dir, strconv.Itoa(i))
			if err := os.Mkdir(at, 0o700); err != nil {
				t.Error(err)
				return
			}
			if err := unix.Mount(dir, at, "", unix.MS_BIND, ""); err != nil {
				t.Errorf("mount: %v", err)
				return
			}
		}
		eachOnAgrees(t, "the whole system", dir, few+1)
		fs, err := os.MkdirTemp(dir, "root")
		if err != nil {
			t.Error(err)
			return
		}
		if err := errors.Join(
			unix.Mount("/", fs, "", unix.MS_BIND, ""),
			unix.Mount("/proc", filepath.Join(fs, "proc"), "", unix.MS_BIND, ""),
		); err != nil {
			t.Errorf("mount: %v", err)
			return
		}
		if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Chroot(fs)); err != nil {
			t.Errorf("chroot: %v", err)
			return
		}
		eachOnAgrees(t, "below another root directory", "/proc", 1)
	})
}

// separate gives the thread a mount namespace of its own.
func separate() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
}

func eachOnAgrees(t *testing.T, what, point string, want int) {
	t.Helper()
	f, err := openTable()
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	all, err := ParseInfo(f)
	if err != nil {
		t.Error(err)
		return
	}
	var superblocks []string
	for _, m := range all {
		if m.Point == point {
			superblocks = []string{m.Device}
		}
	}
	var listed []Summary
	for _, m := range all {
		if len(superblocks) == 1 && m.Device == superblocks[0] {
			listed = append(listed, m.Summary)
		}
	}
	if len(listed) != want {
		t.Errorf("%s: the mount table has %d mounts of %v, want %d", what, len(listed), superblocks, want)
	}
	var got []Summary
	err = EachOn(superblocks, func(m Summary) error {
		m.uniqueParent = 0
		got = append(got, m)
		return nil
	})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Logf("this kernel has no listmount(2): %v", err)
		return
	}
	if err != nil || len(got) != len(listed) {
		t.Errorf("%s: EachOn() has %d mounts, %v, want %d", what, len(got), err, len(listed))
		return
	}
	for i := range got {
		if got[i] != listed[i] {
			t.Errorf("%s:\nEachOn() has %+v\nmountinfo has     %+v", what, got[i], listed[i])
		}
	}
}

func TestEachOnEndsWithAnError(t *testing.T) {
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	var devices []string
	for _, m := range all {
		devices = append(devices, m.Device)
	}
	enough, calls := errors.New("enough"), 0
	err = EachOn(devices, func(Summary) error { calls++; return enough })
	if err != enough && !errors.Is(err, errors.ErrUnsupported) || calls > 1 {
		t.Errorf("EachOn() = %v after %d calls", err, calls)
	}
	if err := EachOn([]string{"x"}, func(Summary) error { return nil }); err == nil {
		t.Error("EachOn() takes anything for a device")
	}
}

// requireRoot ends a test that only root can run: as skipped, and as failed where CI=true.
func requireRoot(t *testing.T) {
	t.Helper()
	const missing = "only root can mount"
	switch {
	case os.Getuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal(missing)
	default:
		t.Skip(missing)
	}
}
