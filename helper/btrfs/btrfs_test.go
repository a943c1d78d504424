package btrfs_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper/btrfs"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestPropertyOnARealSubvolume(t *testing.T) {
	s := lab.New(t)
	fd := open(t, s.Etc)
	for _, want := range []bool{true, true, false, false} {
		if err := btrfs.SetReadOnly(fd, want); err != nil {
			t.Fatalf("SetReadOnly(%v) = %v", want, err)
		}
		flags, err := btrfs.GetFlags(fd)
		if err != nil || flags.ReadOnly() != want {
			t.Fatalf("GetFlags() = %#x, %v; want read-only %v", flags, err, want)
		}
		if got := progsProperty(t, s.Etc); got != want {
			t.Fatalf("btrfs property get says %v, want %v", got, want)
		}
	}
}

func TestSetReadOnlyOnAReadOnlyMount(t *testing.T) {
	s := lab.New(t)
	fd := open(t, s.Etc)
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		t.Fatal(err)
	}
	if err := btrfs.SetReadOnly(fd, true); !errors.Is(err, unix.EROFS) {
		t.Errorf("SetReadOnly on a read-only mount = %v, want EROFS", err)
	}
}

func TestGetFlagsOfAPlainDirectory(t *testing.T) {
	s := lab.New(t)
	dir := s.Etc + "/plain"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := btrfs.GetFlags(open(t, dir)); !errors.Is(err, unix.EINVAL) {
		t.Errorf("GetFlags of a plain directory = %v, want EINVAL", err)
	}
}

func TestSubvolumeID(t *testing.T) {
	s := lab.New(t)
	out, err := exec.Command("btrfs", "inspect-internal", "rootid", s.Etc).Output()
	if err != nil {
		t.Fatal(err)
	}
	id, err := btrfs.SubvolumeID(open(t, s.Etc))
	if err != nil {
		t.Fatal(err)
	}
	var want uint64
	for _, c := range strings.TrimSpace(string(out)) {
		want = want*10 + uint64(c-'0')
	}
	if id != want {
		t.Errorf("SubvolumeID = %d, btrfs says %d", id, want)
	}
}

// More than the kernel lists at once.
func TestListNestedListsAll(t *testing.T) {
	s := lab.New(t)
	const added = 260
	fd := open(t, s.Root)
	for i := range added {
		if err := lab.CreateSubvolume(filepath.Join(s.Root, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	found, err := btrfs.ListNested(fd)
	if want := added + 1 + len(lab.Islands); err != nil || len(found) != want {
		t.Errorf("ListNested() = %d subvolumes, %v; want %d", len(found), err, want)
	}
	var paths []string
	for _, n := range found {
		path, err := btrfs.PathOf(fd, n)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	for _, want := range []string{"0", "259", "etc", "home/rrs", "var/lib"} {
		if !slices.Contains(paths, want) {
			t.Errorf("no path %q among those of the nested subvolumes", want)
		}
	}
}

func TestUUID(t *testing.T) {
	s := lab.New(t)
	out, err := exec.Command("blkid", "-s", "UUID", "-o", "value", s.Device).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := btrfs.UUID(open(t, s.Etc)); err != nil || got != strings.TrimSpace(string(out)) {
		t.Errorf("UUID() = %s, %v; blkid says %s", got, err, out)
	}
}

func TestIsBtrfs(t *testing.T) {
	s := lab.New(t)
	for path, want := range map[string]bool{s.Root: true, s.Etc: true, lab.Base: false, "/proc": false} {
		if got, err := btrfs.IsBtrfs(open(t, path)); err != nil || got != want {
			t.Errorf("IsBtrfs(%s) = %v, %v; want %v", path, got, err, want)
		}
	}
}

func open(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func progsProperty(t *testing.T, path string) bool {
	t.Helper()
	out, err := exec.Command("btrfs", "property", "get", path, "ro").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)) == "ro=true"
}
