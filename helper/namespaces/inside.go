package namespaces

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
)

const (
	// maxTable bounds how much of a mount table is read. The kernel allows a namespace
	// 100,000 mounts (fs.mount-max in proc_sys_fs(5)).
	maxTable = 64 << 20
	// maxDepth bounds how deep a mount point may lie: a descriptor is held for every
	// directory above it.
	maxDepth = 100
)

var (
	// ErrHidden says that a mount is gone, or that another one lies over it: no path
	// leads there.
	ErrHidden = errors.New("it is hidden by another mount")
	// ErrAway says that the way to a mount leads over a file system whose server may
	// never answer.
	ErrAway = errors.New("the way there leads over a file system that may not answer")
)

// local are the file systems where a lookup waits for a disk at most. A file system of
// the network waits for its server; one in user space (FUSE) for a program that may be the
// attacker's, uninterruptibly; and an automount point for the program that mounts.
var local = map[string]bool{
	"btrfs": true, "ext2": true, "ext3": true, "ext4": true, "xfs": true, "f2fs": true, "bcachefs": true, "zfs": true,
	"tmpfs": true, "ramfs": true, "rootfs": true, "devtmpfs": true, "squashfs": true, "erofs": true,
}

// An inside is the view from inside a namespace, on a thread that has entered it.
type inside struct {
	proc    int // /proc of the caller's namespace
	foreign bool
	// subvolumes are open, and so what has the st_dev of one is on it.
	subvolumes []*Subvolume
	over       *atomic.Bool // the visit has taken too long and its result is not used
}

// superblocks are those of the subvolumes, by their major:minor.
func (in *inside) superblocks() []string {
	var all []string
	for _, s := range in.subvolumes {
		if !slices.Contains(all, s.Superblock) {
			all = append(all, s.Superblock)
		}
	}
	return all
}

// each calls do for the mounts of superblocks, by their major:minor.
func (in *inside) each(superblocks []string, do func(mount.Summary) error) error {
	err := mount.EachOn(superblocks, do)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return in.table(func(table io.Reader) error {
		return mount.Each(table, superblocks, func(m mount.Info) error { return do(m.Summary) })
	})
}

// table calls read with the mount table. The kernel holds a lock that no mount waits under
// (namespace_sem; see m_start in fs/namespace.c) and asks no server for what it shows.
func (in *inside) table(read func(io.Reader) error) error {
	fd, err := unix.Openat(in.proc, "thread-self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot read the mount table: %w", err)
	}
	f := os.NewFile(uintptr(fd), "mountinfo")
	defer f.Close()
	return read(io.LimitReader(f, maxTable))
}

// open returns a descriptor of a mount's root directory (O_PATH). It walks to the mount
// point step by step, and looks nothing up in a directory before it knows that the file
// system there can answer without a server.
//
// That the answer still holds when it is used follows from the order: a directory that is
// held open keeps its mount, and so its id, and only then the mount table is asked for
// that id. The directories above are held until the end.
func (in *inside) open(m mount.Summary) (int, error) {
	parts := strings.Split(strings.Trim(m.Point, "/"), "/")
	if m.Point == "/" {
		parts = nil
	}
	if len(parts) > maxDepth {
		return -1, ErrAway
	}
	const flags = unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open("/", flags|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, fmt.Errorf("open: %w", err)
	}
	known := map[uint64]bool{}
	for _, part := range parts {
		if err := in.canLookUp(fd, known); err != nil {
			unix.Close(fd)
			return -1, err
		}
		next, err := unix.Openat(fd, part, flags, 0)
		defer unix.Close(fd)
		if err != nil {
			return -1, ErrHidden
		}
		fd = next
	}
	at, err := positionOf(fd)
	switch {
	case err != nil:
	case at.mount != m.ID || !at.root:
		err = ErrHidden
	default:
		return fd, nil
	}
	unix.Close(fd)
	return -1, err
}

// canLookUp returns nil if a lookup in a directory can't hang.
func (in *inside) canLookUp(fd int, known map[uint64]bool) error {
	at, err := positionOf(fd)
	if err != nil || known[at.mount] || in.protects(at.device) {
		return err
	}
	filesystem, err := in.filesystem(fd, at.mount)
	if err != nil {
		return err
	}
	// Below an overlay that only root can have made lie file systems that root has
	// chosen, as a container's.
	if !local[filesystem] && (filesystem != "overlay" || in.foreign) {
		return ErrAway
	}
	known[at.mount] = true
	return nil
}

// filesystem returns the type of the file system that a descriptor is on, "" where its mount
// is not in the mount table.
func (in *inside) filesystem(fd int, id uint64) (string, error) {
	if m, err := mount.Stat(fd); err == nil {
		return m.Filesystem, nil
	}
	var found mount.Info
	err := in.table(func(table io.Reader) (err error) {
		found, err = mount.FindIn(table, id)
		return err
	})
	if err != nil && !errors.Is(err, mount.ErrNotListed) {
		return "", err
	}
	return found.Filesystem, nil
}

func (in *inside) protects(device uint64) bool {
	return slices.ContainsFunc(in.subvolumes, func(s *Subvolume) bool { return s.device == device })
}

// A position is where a descriptor is.
type position struct {
	mount  uint64 // its id
	root   bool   // at the mount's root directory
	device uint64 // st_dev
}

// positionOf asks no server (AT_STATX_DONT_SYNC).
func positionOf(fd int) (position, error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO|unix.STATX_MNT_ID, &st); err != nil {
		return position{}, fmt.Errorf("statx: %w", err)
	}
	return position{st.Mnt_id, st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, unix.Mkdev(st.Dev_major, st.Dev_minor)}, nil
}
