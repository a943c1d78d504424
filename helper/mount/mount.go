package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// List returns the mount table of the caller's thread.
func List() ([]Info, error) {
	f, err := openTable()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseInfo(f)
}

func openTable() (*os.File, error) {
	f, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot read the mount table: %w", err)
	}
	return f, nil
}

// ErrNotListed says that a mount is not in the caller's mount table.
var ErrNotListed = errors.New("it is not in the mount table")

// Find returns the mount with the given id out of the caller's mount table, which it reads
// no further than that mount.
func Find(id uint64) (Info, error) {
	f, err := openTable()
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	info, err := FindIn(f, id)
	if errors.Is(err, ErrNotListed) {
		err = fmt.Errorf("cannot find mount %d: %w", id, err)
	}
	return info, err
}

// ByID returns the mount with the given id out of a table, and whether it is in there.
func ByID(infos []Info, id uint64) (Info, bool) {
	for _, info := range infos {
		if info.ID == id {
			return info, true
		}
	}
	return Info{}, false
}

// SetReadOnly makes the mount that fd is the root of read-only, and no other. The
// kernel answers EBUSY, and changes nothing, while a file is open for writing
// through this mount (mnt_hold_writers in fs/namespace.c).
func SetReadOnly(fd int) error {
	return setattr(fd, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// SetWritable makes the mount that fd is the root of writable, and no other.
func SetWritable(fd int) error {
	return setattr(fd, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
}

func setattr(fd int, attr *unix.MountAttr) error {
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	return nil
}

// OpenWritableClone returns the root directory of a writable mount of what fd is the
// root of, attached nowhere. Only the holder of the descriptor can write
// through it, and it ends with the descriptor, however the program ends.
func OpenWritableClone(fd int) (int, error) {
	clone, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return -1, fmt.Errorf("open_tree: %w", err)
	}
	defer unix.Close(clone) // the directory keeps the mount
	if err := SetWritable(clone); err != nil {
		return -1, err
	}
	// The descriptor of open_tree is an O_PATH one, which takes no ioctl.
	dir, err := unix.Openat(clone, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("openat: %w", err)
	}
	return dir, nil
}

// MakeSuperblockWritable makes the filesystem of the mount that fd is the root of
// writable. Mounts of it that are read-only themselves stay so: the new mount API
// reconfigures the superblock alone (fspick(2)).
func MakeSuperblockWritable(fd int) error {
	fs, err := unix.Fspick(fd, "", unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH|unix.FSPICK_NO_AUTOMOUNT)
	if err != nil {
		return fmt.Errorf("fspick: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetFlag(fs, "rw"); err != nil {
		return fmt.Errorf("fsconfig rw: %w", err)
	}
	if err := unix.FsconfigReconfigure(fs); err != nil {
		return fmt.Errorf("fsconfig reconfigure: %w", err)
	}
	return nil
}
