package mount

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Below returns the mounts that the mount top hides at its own mount point, the nearest
// first: each is mounted on the root of the next.
func Below(mounts []Info, top Info) []Info {
	var below []Info
	// The kernel makes no loops. The bound holds for any table.
	for range mounts {
		next, ok := ByID(mounts, top.Parent)
		if !ok || next.ID == top.ID || next.Point != top.Point {
			break
		}
		top = next
		below = append(below, top)
	}
	return below
}

// OpenBelow returns the root directory of a writable mount, attached nowhere, of what is at
// a mount point below the upper mounts, of which there are depth. No path leads there: it is
// found in a copy of the mount namespace, where the upper ones are taken off. Nothing
// changes outside. The caller must be root.
func OpenBelow(point string, depth int) (dir int, err error) {
	OnOwnThread(func() { dir, err = openBelow(point, depth) })
	return dir, err
}

// openBelow works on a thread that ends with it, and with that the copy.
func openBelow(point string, depth int) (int, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return -1, fmt.Errorf("unshare: %w", err)
	}
	// Else the mounts would be taken off outside too (mount_namespaces(7)).
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return -1, fmt.Errorf("mount MS_PRIVATE: %w", err)
	}
	for range depth {
		if err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return -1, fmt.Errorf("umount2: %w", err)
		}
	}
	fd, err := unix.Open(point, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	return OpenWritableClone(fd)
}

// ErrHidden says that no path leads to what was to be opened.
var ErrHidden = errors.New("no path leads there")

// OpenShowing returns the directory wanted.Root, a mount's root, as another mount shows it
// that is seen: one of the same, or of a directory above it. Any user may ask. Where there is
// none, the error is [ErrHidden].
func OpenShowing(mounts []Info, wanted Info) (int, error) {
	tree := NewTree(mounts)
	for _, m := range mounts {
		inside, ok := cutDir(wanted.Root, m.Root)
		if !ok || m.Device != wanted.Device {
			continue
		}
		name := path.Join(m.Point, inside)
		over := tree.Over(name)
		if len(over) == 0 || over[len(over)-1].ID != m.ID || !allLocal(over) {
			continue
		}
		if dir, err := openOn(m, name); err == nil {
			return dir, nil
		}
	}
	return -1, ErrHidden
}

// cutDir returns what of a path lies below dir.
func cutDir(name, dir string) (inside string, ok bool) {
	if name == dir || dir == "/" {
		return strings.TrimPrefix(name, dir), true
	}
	return strings.CutPrefix(name, dir+"/")
}

// allLocal reports whether a way leads only over file systems that wait for a disk at most.
func allLocal(over []Info) bool {
	local := []string{"btrfs", "tmpfs", "ext4", "xfs"}
	return !slices.ContainsFunc(over, func(m Info) bool { return !slices.Contains(local, m.Filesystem) })
}

func openOn(m Info, name string) (int, error) {
	dir, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Statx_t
	if err := unix.Statx(dir, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil || st.Mnt_id != m.ID {
		unix.Close(dir)
		return -1, ErrHidden // another has come meanwhile
	}
	return dir, nil
}
