package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The layout of the structures is the kernel's, linux/mount.h.
func TestStatmountLayout(t *testing.T) {
	var a statmountAnswer
	for _, c := range []struct {
		what      string
		got, want uintptr
	}{
		{"statmount.mask", unsafe.Offsetof(a.mask), 8},
		{"statmount.sb_dev_major", unsafe.Offsetof(a.major), 16},
		{"statmount.sb_dev_minor", unsafe.Offsetof(a.minor), 20},
		{"statmount.sb_flags", unsafe.Offsetof(a.superFlags), 32},
		{"statmount.fs_type", unsafe.Offsetof(a.filesystem), 36},
		{"statmount.mnt_parent_id", unsafe.Offsetof(a.uniqueParent), 48},
		{"statmount.mnt_id_old", unsafe.Offsetof(a.id), 56},
		{"statmount.mnt_parent_id_old", unsafe.Offsetof(a.parent), 60},
		{"statmount.mnt_attr", unsafe.Offsetof(a.attributes), 64},
		{"statmount.mnt_root", unsafe.Offsetof(a.root), 104},
		{"statmount.mnt_point", unsafe.Offsetof(a.point), 108},
		{"sizeof(struct statmount)", unsafe.Offsetof(a.strings), 512},
		{"__NR_statmount", unix.SYS_STATMOUNT, 457},
		{"__NR_listmount", unix.SYS_LISTMOUNT, 458},
		{"STATX_MNT_ID_UNIQUE", unix.STATX_MNT_ID_UNIQUE, 0x4000},
	} {
		if c.got != c.want {
			t.Errorf("%s = %d, want %d", c.what, c.got, c.want)
		}
	}
}

func TestTextStaysInTheAnswer(t *testing.T) {
	var a statmountAnswer
	copy(a.strings[10:], "btrfs\x00rest")
	for i := range a.strings[100:] {
		a.strings[100+i] = 'x'
	}
	for at, want := range map[uint32]string{10: "btrfs", 0: "", stringsSize - 1: "x", stringsSize: "", 1 << 31: "", ^uint32(0): ""} {
		if got := a.text(at); got != want {
			t.Errorf("text(%d) = %q, want %q", at, got, want)
		}
	}
}

// statmount(2) says of every mount what mountinfo says.
func TestStatAgreesWithTheMountTable(t *testing.T) {
	requireRoot(t)
	OnOwnThread(func() {
		if err := separate(); err != nil {
			t.Error(err)
			return
		}
		dir := t.TempDir()
		mountAt := func(source, point, filesystem string, flags uintptr) int {
			t.Helper()
			if err := unix.Mount(source, point, filesystem, flags, ""); err != nil {
				t.Errorf("mount %q: %v", point, err)
				return -1
			}
			fd, err := unix.Open(point, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Errorf("open %q: %v", point, err)
			}
			return fd
		}
		makeDir := func(name string) string {
			name = filepath.Join(dir, name)
			if err := os.MkdirAll(name, 0o700); err != nil {
				t.Error(err)
			}
			return name
		}
		plain := makeDir("plain")
		odd := makeDir("a b\n\t\\#\xc3(")
		fds := map[string]int{"plain": mountAt("none", plain, "tmpfs", 0)}
		inside := makeDir("plain/c \n\\d")
		fds["a bind mount with odd names"] = mountAt(inside, odd, "", unix.MS_BIND)
		fds["a superblock that is read-only"] = mountAt("none", makeDir("ro"), "tmpfs", unix.MS_RDONLY)
		bind := makeDir("bind")
		mountAt(plain, bind, "", unix.MS_BIND)
		fds["a mount that is read-only"] = mountAt("", bind, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY)
		fds["one over it"] = mountAt("none", bind, "tmpfs", 0)
		root, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
		}
		fds["the root"] = root
		for what, fd := range fds {
			agrees(t, what, fd)
			unix.Close(fd)
		}

		// One that is attached nowhere is not listed.
		clone, err := unix.OpenTree(unix.AT_FDCWD, plain, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			t.Errorf("open_tree: %v", err)
			return
		}
		defer unix.Close(clone)
		if s, err := Of(clone); !errors.Is(err, ErrNotListed) {
			t.Errorf("Of(a clone) = %+v, %v, want ErrNotListed", s, err)
		}
	})
}

func agrees(t *testing.T, what string, fd int) {
	t.Helper()
	id, err := statxMountID(fd, unix.STATX_MNT_ID)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	info, err := Find(id)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	want := info.Summary
	hides, err := want.Hides()
	if err != nil || hides != (what == "one over it") {
		t.Errorf("%s: by the mount table, Hides() = %v, %v", what, hides, err)
	}
	got, err := Stat(fd)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, errors.ErrUnsupported) {
		t.Logf("this kernel has no statmount(2): %v", err)
		return
	}
	if err != nil {
		t.Errorf("%s: Stat() = %v", what, err)
		return
	}
	if again, err := got.Hides(); again != hides || err != nil {
		t.Errorf("%s: by statmount(2), Hides() = %v, %v, want %v", what, again, err, hides)
	}
	if got.uniqueParent = 0; got != want {
		t.Errorf("%s:\nstatmount(2) says %+v\nmountinfo says    %+v", what, got, want)
	}
}

// statmount(2) does not have the whole type of a FUSE mount.
func TestStatLeavesFUSEToTheMountTable(t *testing.T) {
	a := &statmountAnswer{mask: wantAll, root: 1, point: 1, filesystem: 3}
	copy(a.strings[:], "\x00/\x00fuse\x00")
	if s, err := a.summary(); err == nil {
		t.Errorf("summary() = %+v, want an error", s)
	}
}

func TestFindReadsNoFurther(t *testing.T) {
	var table strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&table, "%d 1 0:%d / /%d rw - tmpfs none rw\n", i+10, i, i)
	}
	r := strings.NewReader(table.String() + "rubbish\n")
	for _, id := range []uint64{10, 15, 109} {
		r.Reset(table.String() + "rubbish\n")
		if info, err := FindIn(r, id); err != nil || info.Point != fmt.Sprintf("/%d", id-10) {
			t.Errorf("FindIn(%d) = %+v, %v", id, info, err)
		}
		if read := table.Len() - r.Len(); read > 8192 {
			t.Errorf("to find mount %d, %d bytes were read", id, read)
		}
	}
	for _, id := range []uint64{1, 5000} {
		r.Reset(table.String())
		if info, err := FindIn(r, id); err != ErrNotListed {
			t.Errorf("FindIn(%d) = %+v, %v, want ErrNotListed", id, info, err)
		}
	}
}
