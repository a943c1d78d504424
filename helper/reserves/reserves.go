// Package reserves warns of what an installation could run out of: battery and disk space.
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
	// batteryTimeout bounds the calls to UPower: a silent bus must not delay a command for long.
	batteryTimeout = 2 * time.Second

	systemBus = "unix:path=/run/dbus/system_bus_socket"
)

// Short returns a sentence for the battery and one for the disk if an installation into the paths
// may not have enough. Of the paths it takes the first that is short. There is no sentence about
// what can't be found out.
func Short(ctx context.Context, paths []string) []string { return short(ctx, paths, systemBus) }

func short(ctx context.Context, paths []string, bus string) []string {
	var all []string
	ctx, cancel := context.WithTimeout(ctx, batteryTimeout)
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

// little returns a sentence if the file system of a path is nearly full, else "".
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
