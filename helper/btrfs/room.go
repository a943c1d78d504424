package btrfs

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// MetadataRoom returns how many bytes of metadata can still be written to the file system
// that fd is on, at least: what is free in its block groups for metadata, less the kernel's
// own reserve, and what can become another such block group. statfs(2) counts data alone,
// and a file system that has gigabytes free for that can be full all the same, when they
// all lie in block groups for data (btrfs_statfs, fs/btrfs/super.c).
func MetadataRoom(fd int) (uint64, error) {
	args := spaceArgs{spaceHeader: spaceHeader{Slots: maxSpaces}}
	if err := getSpaces(fd, &args); err != nil {
		return 0, fmt.Errorf("BTRFS_IOC_SPACE_INFO: %w", err)
	}
	unallocated, err := unallocated(fd)
	if err != nil {
		return 0, err
	}
	var free, reserve, profile uint64
	for _, s := range args.Spaces[:min(args.Total, maxSpaces)] {
		switch {
		case s.Flags&globalReserve != 0:
			reserve += s.Total - min(s.Total, s.Used)
		case s.Flags&metadata != 0:
			free += s.Total - min(s.Total, s.Used)
			profile = s.Flags
		}
	}
	return free - min(free, reserve) + allocatable(unallocated, profile), nil
}

// The kinds and profiles of block groups, linux/btrfs_tree.h.
const (
	metadata = 1 << 2
	raid1    = 1 << 4
	dup      = 1 << 5
	raid10   = 1 << 6
	raid5    = 1 << 7
	raid6    = 1 << 8
	raid1c3  = 1 << 9
	raid1c4  = 1 << 10
	// globalReserve is BTRFS_SPACE_INFO_GLOBAL_RSV.
	globalReserve = 1 << 49
)

// maxDevices bounds what is asked of one file system.
const maxDevices = 1024

// unallocated returns what each device has in no block group, the largest first.
func unallocated(fd int) ([]uint64, error) {
	var info fsInfo
	if err := getFSInfo(fd, &info); err != nil {
		return nil, fmt.Errorf("BTRFS_IOC_FS_INFO: %w", err)
	}
	var all []uint64
	for id := uint64(0); id <= min(info.MaxID, maxDevices); id++ {
		device := devInfo{ID: id}
		switch err := getDevInfo(fd, &device); {
		case errors.Is(err, unix.ENODEV): // it was removed
		case err != nil:
			return nil, fmt.Errorf("BTRFS_IOC_DEV_INFO: %w", err)
		default:
			all = append(all, device.Total-min(device.Total, device.Used))
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all, nil
}

// allocatable returns how much a block group of a profile can have at least: a profile wants
// the same room on so many devices, of which the smallest decides.
func allocatable(unallocated []uint64, profile uint64) uint64 {
	devices := 1
	switch {
	case profile&raid1c4 != 0:
		devices = 4
	case profile&(raid1c3|raid6) != 0:
		devices = 3
	case profile&(raid1|raid10|raid5) != 0:
		devices = 2
	}
	if len(unallocated) < devices {
		return 0
	}
	room := unallocated[devices-1]
	if profile&dup != 0 {
		room /= 2
	}
	return room
}
