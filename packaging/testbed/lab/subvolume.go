package lab

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"immutray.org/helper/kernel"
)

// createRequest is BTRFS_IOC_SUBVOL_CREATE, linux/btrfs.h.
const createRequest = 0x5000940e

// volArgs is struct btrfs_ioctl_vol_args. The name ends with a zero.
type volArgs struct {
	_    int64
	Name [4088]byte
}

// CreateSubvolume does what "btrfs subvolume create" does. Starting that program for each
// subvolume would take longer than all the rest of the lab.
func CreateSubvolume(path string) error {
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	name := filepath.Base(path)
	var args volArgs
	if len(name) >= len(args.Name) {
		return &os.PathError{Op: "BTRFS_IOC_SUBVOL_CREATE", Path: path, Err: unix.ENAMETOOLONG}
	}
	copy(args.Name[:], name)
	if err := kernel.Ioctl(int(parent.Fd()), createRequest, &args); err != nil {
		return &os.PathError{Op: "BTRFS_IOC_SUBVOL_CREATE", Path: path, Err: err}
	}
	return nil
}
