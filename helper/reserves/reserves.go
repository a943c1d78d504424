// Package reserves tells what an installation could run out of in the middle: the battery,
// and room on the disk.
package reserves

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/btrfs"
)

const (
	// leastCharge is the percentage below which a battery that is being emptied is low.
	leastCharge = 20
	// leastData is what a kernel with its modules and its initramfs takes, twice.
	leastData = 1 << 30
	// leastMetadata is room for some hundred thousand files.
	leastMetadata = 128 << 20
	// batteryPatience bounds the talk with UPower: a bus that is silent keeps no command
	// from its work for long.
	batteryPatience = 2 * time.Second

	systemBus = "unix:path=/run/dbus/system_bus_socket"
)

// Short returns a sentence for everything there is too little of for an installation into
// one of the paths, of which the first counts that is short. What can't be found out is not
// told: it is no reason for doubt.
func Short(ctx context.Context, paths []string) []string { return short(ctx, paths, systemBus) }

func short(ctx context.Context, paths []string, bus string) []string {
	var all []string
	ctx, cancel := context.WithTimeout(ctx, batteryPatience)
	defer cancel()
	if cells, err := batteries(ctx, bus); err == nil {
		if percent, emptying := charge(cells); emptying && percent < leastCharge {
			all = append(all, fmt.Sprintf("the battery is at %.0f %%, and not being charged: if it runs out, the installation stops half done", percent))
		}
	}
	for _, path := range paths {
		if text := little(path); text != "" {
			return append(all, text)
		}
	}
	return all
}

// little says what there is too little of on the file system of a path.
func little(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil {
		return ""
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < leastData {
		return fmt.Sprintf("the file system of %q has only %d MiB left: if that is not enough, the installation stops half done", path, free>>20)
	}
	if uint32(fs.Type) != unix.BTRFS_SUPER_MAGIC {
		return ""
	}
	room, err := btrfs.MetadataRoom(fd)
	if err != nil || room >= leastMetadata {
		return ""
	}
	return fmt.Sprintf("the file system of %q has only %d MiB left for metadata, whatever is free for data: "+
		"if that is not enough, the installation stops half done (see \"btrfs filesystem usage %s\")", path, room>>20, path)
}
