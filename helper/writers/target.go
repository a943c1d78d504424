package writers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A device is a stat st_dev. On btrfs every subvolume has one of its own.
type device struct{ major, minor uint32 }

// A file identifies one regular file.
type file struct {
	device
	inode uint64
}

// targets are the protected paths by their device. Two have the same when they are
// not on btrfs, or two mounts of one subvolume.
type targets map[device][]string

func newTargets(protected []string) (targets, error) {
	t := make(targets)
	for _, path := range protected {
		f, _, err := statAt(unix.AT_FDCWD, path)
		if err != nil {
			return nil, fmt.Errorf("cannot look for writers: %w", &os.PathError{Op: "stat", Path: path, Err: err})
		}
		t[f.device] = append(t[f.device], path)
	}
	return t, nil
}

// holds reports whether a protected path has the device.
func (t targets) holds(d device) bool { return len(t[d]) > 0 }

// of returns the protected path that a file belongs to by its device; among several,
// the one that the file's path is nearest below.
func (t targets) of(d device, path string) string {
	best := ""
	for _, candidate := range t[d] {
		if below(path, candidate) && len(candidate) > len(best) {
			best = candidate
		}
	}
	if best == "" {
		return t[d][0]
	}
	return best
}

func below(path, dir string) bool {
	dir = strings.TrimSuffix(dir, "/")
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// statAt returns the regular file that name leads to, links followed; regular is
// false for everything else, which never keeps a mount writable.
//
// AT_STATX_DONT_SYNC keeps the kernel from asking a FUSE or NFS server, which a user
// may have hung on purpose, for attributes; st_dev and inode it always knows.
func statAt(dir int, name string) (f file, regular bool, err error) {
	const flags = unix.AT_STATX_DONT_SYNC | unix.AT_NO_AUTOMOUNT
	var st unix.Statx_t
	err = ignoringEINTR(func() error {
		return unix.Statx(dir, name, flags, unix.STATX_TYPE|unix.STATX_INO, &st)
	})
	if err != nil {
		return file{}, false, err
	}
	f = file{device{st.Dev_major, st.Dev_minor}, st.Ino}
	return f, st.Mode&unix.S_IFMT == unix.S_IFREG, nil
}

// deletedSuffix is what the kernel appends to the path of a file that has no name
// any more (d_path in fs/d_path.c).
const deletedSuffix = " (deleted)"

// locate returns the device of a file of which the kernel gives only the path. For a
// file that was deleted that is the device of its directory: they share a subvolume.
// It fails for a path of another mount namespace.
func locate(path string) (device, error) {
	f, _, err := statAt(unix.AT_FDCWD, path)
	if err == nil {
		return f.device, nil
	}
	if name, deleted := strings.CutSuffix(path, deletedSuffix); deleted {
		if dir, _, dirErr := statAt(unix.AT_FDCWD, filepath.Dir(name)); dirErr == nil {
			return dir.device, nil
		}
	}
	return device{}, &os.PathError{Op: "stat", Path: path, Err: err}
}
