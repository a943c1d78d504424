package btrfs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// A Nested is a subvolume in a directory of another: its id, and that directory's
// inode.
type Nested struct{ TreeID, DirID uint64 }

// ListNested returns the subvolumes in the directories of the one that fd is on. Any
// user may ask (since Linux 4.18).
func ListNested(fd int) ([]Nested, error) {
	var found []Nested
	var args rootRefs
	for {
		// EOVERFLOW: there are more, and MinTreeID says from where on.
		err := getRootRefs(fd, &args)
		if err != nil && !errors.Is(err, unix.EOVERFLOW) {
			return nil, fmt.Errorf("BTRFS_IOC_GET_SUBVOL_ROOTREF: %w", err)
		}
		found = append(found, args.Refs[:args.Number]...)
		if err == nil {
			return found, nil
		}
	}
}

// PathOf returns where a nested subvolume is, relative to the subvolume root open as
// fd. EACCES: in a directory that the caller can't read.
func PathOf(fd int, n Nested) (string, error) {
	args := inoLookup{DirID: n.DirID, TreeID: n.TreeID}
	if err := lookUpInode(fd, &args); err != nil {
		return "", fmt.Errorf("BTRFS_IOC_INO_LOOKUP_USER: %w", err)
	}
	return text(args.Path[:]) + text(args.Name[:]), nil
}

// UUID returns the UUID of the filesystem that fd is on.
func UUID(fd int) (string, error) {
	var args fsInfo
	if err := getFSInfo(fd, &args); err != nil {
		return "", fmt.Errorf("BTRFS_IOC_FS_INFO: %w", err)
	}
	h := hex.EncodeToString(args.UUID[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"), nil
}

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
