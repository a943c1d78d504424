package mount

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A Summary is what both statmount(2) and mountinfo say about a mount. Paths are as the kernel
// has them, without escapes, so they may hold any byte but NUL.
type Summary struct {
	ID         uint64
	Parent     uint64 // the mount that this one is mounted on
	Device     string // major:minor of the superblock; stat's st_dev differs on btrfs
	Root       string // on btrfs the path of the subvolume
	Point      string
	Filesystem string

	readOnly, superReadOnly bool
	uniqueParent            uint64 // the parent's unique id, 0 where the mount table was read
}

// ReadOnly reports the mount flag.
func (s Summary) ReadOnly() bool { return s.readOnly }

// SuperReadOnly reports the superblock flag.
func (s Summary) SuperReadOnly() bool { return s.superReadOnly }

// Of returns the mount that a descriptor is on. On Linux 6.8 or newer it reads no mount
// table, which on a host of containers is long.
func Of(fd int) (Summary, error) {
	if s, err := Stat(fd); err == nil {
		return s, nil
	}
	id, err := statxMountID(fd, unix.STATX_MNT_ID)
	if err != nil {
		return Summary{}, err
	}
	info, err := Find(id)
	if err != nil {
		return Summary{}, err
	}
	return info.Summary, nil
}

// Stat is Of by statmount(2) alone, and so never reads from /proc. It fails where the kernel
// does not have that call (ENOSYS), where a filter of system calls that is older than it
// refuses it (EPERM, as that of systemd 252), and where the mount table says more.
//
// What the kernel can do is asked each time and remembered nowhere: a call that is refused
// takes a microsecond.
func Stat(fd int) (Summary, error) {
	id, err := statxMountID(fd, unix.STATX_MNT_ID_UNIQUE)
	if err != nil {
		return Summary{}, err
	}
	return statmount(id)
}

// statxMountID returns an id of the mount that a descriptor is on: with STATX_MNT_ID that of
// mountinfo, which is used again when the mount is gone, with STATX_MNT_ID_UNIQUE the one
// that statmount(2) takes. No server is asked (AT_STATX_DONT_SYNC).
func statxMountID(fd, kind int) (uint64, error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, kind, &st); err != nil {
		return 0, fmt.Errorf("statx: %w", err)
	}
	if st.Mask&uint32(kind) == 0 {
		return 0, fmt.Errorf("statx: %w", errors.ErrUnsupported)
	}
	return st.Mnt_id, nil
}

// Hides reports whether the mount hides another one at its own mount point; see [Below].
func (s Summary) Hides() (bool, error) {
	if s.Point == "/" {
		return false, nil // no path leads to what the root is mounted on
	}
	if s.uniqueParent != 0 {
		if parent, err := statmount(s.uniqueParent); err == nil {
			return parent.Point == s.Point, nil
		}
	}
	parent, err := Find(s.Parent)
	switch {
	case errors.Is(err, ErrNotListed):
		return false, nil
	case err != nil:
		return false, err
	}
	return parent.Point == s.Point, nil
}
