package btrfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/practice/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// The numbers are what the C macros of linux/btrfs.h expand to, printed by a C
// program on x86-64.
func TestRequestsMatchTheKernelHeader(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"BTRFS_IOC_SUBVOL_GETFLAGS", getFlagsRequest, 0x80089419},
		{"BTRFS_IOC_SUBVOL_SETFLAGS", setFlagsRequest, 0x4008941a},
		{"BTRFS_IOC_GET_SUBVOL_INFO", subvolInfoRequest, 0x81f8943c},
		{"sizeof(struct btrfs_ioctl_get_subvol_info_args)", unsafe.Sizeof(subvolInfo{}), 504},
		{"sizeof(struct btrfs_ioctl_timespec)", unsafe.Sizeof(timespec{}), 16},
		{"BTRFS_IOC_FS_INFO", fsInfoRequest, 0x8400941f},
		{"BTRFS_IOC_GET_SUBVOL_ROOTREF", rootRefsRequest, 0xd000943d},
		{"BTRFS_IOC_INO_LOOKUP_USER", inoLookupRequest, 0xd000943e},
		{"sizeof(struct btrfs_ioctl_fs_info_args)", unsafe.Sizeof(fsInfo{}), 1024},
		{"sizeof(struct btrfs_ioctl_get_subvol_rootref_args)", unsafe.Sizeof(rootRefs{}), 4096},
		{"sizeof(struct btrfs_ioctl_ino_lookup_user_args)", unsafe.Sizeof(inoLookup{}), 4096},
	} {
		if c.got != c.want {
			t.Errorf("%s = %#x, want %#x", c.name, c.got, c.want)
		}
	}
}

func TestWithChangesOneBit(t *testing.T) {
	const others Flags = 1<<0 | 1<<2 | 1<<40
	if got := others.With(true); got != others|ReadOnly {
		t.Errorf("With(true) = %#x, want %#x", got, others|ReadOnly)
	}
	if got := (others | ReadOnly).With(false); got != others {
		t.Errorf("With(false) = %#x, want %#x", got, others)
	}
}

func TestPropertyOnARealSubvolume(t *testing.T) {
	s := lab.New(t)
	fd := open(t, s.Etc)
	for _, want := range []bool{true, true, false, false} {
		if err := SetReadOnly(fd, want); err != nil {
			t.Fatalf("SetReadOnly(%v) = %v", want, err)
		}
		flags, err := GetFlags(fd)
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
	if err := SetReadOnly(fd, true); !errors.Is(err, unix.EROFS) {
		t.Errorf("SetReadOnly on a read-only mount = %v, want EROFS", err)
	}
}

func TestGetFlagsOfAPlainDirectory(t *testing.T) {
	s := lab.New(t)
	dir := s.Etc + "/plain"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := GetFlags(open(t, dir)); !errors.Is(err, unix.EINVAL) {
		t.Errorf("GetFlags of a plain directory = %v, want EINVAL", err)
	}
}

func TestSubvolumeID(t *testing.T) {
	s := lab.New(t)
	out, err := exec.Command("btrfs", "inspect-internal", "rootid", s.Etc).Output()
	if err != nil {
		t.Fatal(err)
	}
	id, err := SubvolumeID(open(t, s.Etc))
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
	for i := range added {
		if out, err := exec.Command("btrfs", "subvolume", "create", filepath.Join(s.Root, strconv.Itoa(i))).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	fd := open(t, s.Root)
	found, err := ListNested(fd)
	if want := added + 1 + len(lab.Islands); err != nil || len(found) != want {
		t.Errorf("ListNested() = %d subvolumes, %v; want %d", len(found), err, want)
	}
	var paths []string
	for _, n := range found {
		path, err := PathOf(fd, n)
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
	if got, err := UUID(open(t, s.Etc)); err != nil || got != strings.TrimSpace(string(out)) {
		t.Errorf("UUID() = %s, %v; blkid says %s", got, err, out)
	}
}

func TestIsBtrfs(t *testing.T) {
	s := lab.New(t)
	for path, want := range map[string]bool{s.Root: true, s.Etc: true, lab.Base: false, "/proc": false} {
		if got, err := IsBtrfs(open(t, path)); err != nil || got != want {
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
