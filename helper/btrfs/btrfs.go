// Package btrfs reads and sets what Immutray needs of a btrfs subvolume: its
// read-only property and its id. The requests are those of linux/btrfs.h.
package btrfs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// RootInode is the inode number of every subvolume's root directory
// (BTRFS_FIRST_FREE_OBJECTID, linux/btrfs_tree.h).
const RootInode = 256

// Flags are a subvolume's flags, as BTRFS_IOC_SUBVOL_GETFLAGS gives them.
type Flags uint64

// ReadOnly is the property: BTRFS_SUBVOL_RDONLY, linux/btrfs.h.
const ReadOnly Flags = 1 << 1

// ReadOnly reports whether the property is set.
func (f Flags) ReadOnly() bool { return f&ReadOnly != 0 }

// With returns f with the property set or cleared, every other flag as it was.
func (f Flags) With(readOnly bool) Flags {
	if readOnly {
		return f | ReadOnly
	}
	return f &^ ReadOnly
}

// IsBtrfs reports whether fd is on a btrfs.
func IsBtrfs(fd int) (bool, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false, fmt.Errorf("statfs: %w", err)
	}
	return uint32(fs.Type) == unix.BTRFS_SUPER_MAGIC, nil
}

// GetFlags returns the flags of the subvolume whose root directory is open as fd.
// Any user may ask. A directory that is no subvolume root gives EINVAL.
func GetFlags(fd int) (Flags, error) {
	f, err := getFlags(fd)
	if err != nil {
		return 0, fmt.Errorf("BTRFS_IOC_SUBVOL_GETFLAGS: %w", err)
	}
	return f, nil
}

// SetReadOnly sets or clears the property of the subvolume whose root directory is
// open as fd, through a writable mount. It leaves the other flags alone and
// returns only when the property reads back as asked.
//
// Through a read-only mount the kernel answers EROFS; while the subvolume is being
// sent, clearing answers EPERM (btrfs_ioctl_subvol_setflags, fs/btrfs/ioctl.c).
func SetReadOnly(fd int, readOnly bool) error {
	flags, err := GetFlags(fd)
	if err != nil {
		return err
	}
	if flags.ReadOnly() == readOnly {
		return nil
	}
	if err := setFlags(fd, flags.With(readOnly)); err != nil {
		return fmt.Errorf("BTRFS_IOC_SUBVOL_SETFLAGS: %w", err)
	}
	flags, err = GetFlags(fd)
	if err != nil {
		return err
	}
	if flags.ReadOnly() != readOnly {
		return fmt.Errorf("the kernel accepted the property but did not keep it (flags %#x)", uint64(flags))
	}
	return nil
}

// SubvolumeID returns the id of the subvolume that fd is on. Any user may ask.
func SubvolumeID(fd int) (uint64, error) {
	info, err := subvolInfoOf(fd)
	return info.TreeID, err
}

func subvolInfoOf(fd int) (subvolInfo, error) {
	var info subvolInfo
	if err := getSubvolInfo(fd, &info); err != nil {
		return subvolInfo{}, fmt.Errorf("BTRFS_IOC_GET_SUBVOL_INFO: %w", err)
	}
	return info, nil
}

// ClearReceived takes the mark off a writable subvolume that "btrfs receive" has made, and
// reports whether there was one. With it, a later incremental receive would take the
// subvolume for what was sent, though it has changed since. "btrfs property set -f" does
// the same with the same call (cmds/property.c in btrfs-progs); the kernel refuses it for a
// read-only subvolume with EROFS (_btrfs_ioctl_set_received_subvol, fs/btrfs/ioctl.c).
func ClearReceived(fd int) (was bool, err error) {
	info, err := subvolInfoOf(fd)
	if err != nil || info.ReceivedUUID == [16]byte{} {
		return false, err
	}
	if err := setReceived(fd, &receivedSubvol{}); err != nil {
		return true, fmt.Errorf("BTRFS_IOC_SET_RECEIVED_SUBVOL: %w", err)
	}
	return true, nil
}

// SendRequest returns the number of the ioctl(2) that "btrfs send" spends its time in:
// BTRFS_IOC_SEND.
func SendRequest() uintptr { return sendRequest }
