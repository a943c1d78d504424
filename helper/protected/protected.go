// Package protected opens a protected path and reads and sets its layers: the
// property, the mount flag, the superblock flag. Everything is done on one
// descriptor, so that what was checked is what is changed.
package protected

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/btrfs"
	"immutray.org/helper/mount"
	"immutray.org/helper/namespaces"
)

// ErrUnfit says that a path can't be a protected path on this machine, as against
// an error in reading it.
var ErrUnfit = errors.New("not fit to be protected")

// An unfitError is ErrUnfit with the reason, which makes its text superfluous.
type unfitError struct {
	name   string
	reason error
}

func (e *unfitError) Error() string        { return fmt.Sprintf("cannot protect %q: %v", e.name, e.reason) }
func (e *unfitError) Is(target error) bool { return target == ErrUnfit }
func (e *unfitError) Unwrap() error        { return e.reason }

// A Path is an open protected path.
type Path struct {
	Name string
	// Device is stat's st_dev: one per subvolume on btrfs, the same through every
	// mount and in every namespace.
	Device uint64
	// MountID is the mount's, as in mountinfo.
	MountID uint64
	Btrfs   bool

	fd int
}

// Open opens the protected path called name. It must be a directory and a mount
// point, no symbolic link, and on btrfs the root of a subvolume; else the error
// wraps ErrUnfit. Any user may open one.
func Open(name string) (*Path, error) {
	fd, err := openDirectory(name)
	switch {
	case errors.Is(err, errLink), errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return nil, &unfitError{name, err}
	case err != nil:
		return nil, fmt.Errorf("cannot open %q: %w", name, err)
	}
	p := &Path{Name: name, fd: fd}
	if err := p.identify(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

var errLink = errors.New("it is a symbolic link, or below one")

// openDirectory opens an absolute path component by component, and follows no link.
// openat2(2) could do it at once, but systemd's RestrictSUIDSGID= takes it away from
// our units.
func openDirectory(name string) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open("/", flags, 0)
	if err != nil {
		return -1, err
	}
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if part == "" {
			continue
		}
		next, err := unix.Openat(fd, part, flags, 0)
		// A link is only "not a directory" to O_PATH and O_DIRECTORY (open(2)).
		if errors.Is(err, unix.ENOTDIR) && isLink(fd, part) {
			err = errLink
		}
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

func isLink(dir int, part string) bool {
	var st unix.Stat_t
	err := unix.Fstatat(dir, part, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}

func (p *Path) identify() error {
	var st unix.Statx_t
	const mask = unix.STATX_INO | unix.STATX_MNT_ID
	if err := unix.Statx(p.fd, "", unix.AT_EMPTY_PATH, mask, &st); err != nil {
		return fmt.Errorf("cannot look at %q: statx: %w", p.Name, err)
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return &unfitError{p.Name, errors.New("it is not a mount point")}
	}
	onBtrfs, err := btrfs.IsBtrfs(p.fd)
	if err != nil {
		return fmt.Errorf("cannot look at %q: %w", p.Name, helper.Because(err))
	}
	if onBtrfs && st.Ino != btrfs.RootInode {
		return &unfitError{p.Name, errors.New("it is a directory on btrfs, not a subvolume")}
	}
	p.Btrfs = onBtrfs
	p.Device = unix.Mkdev(st.Dev_major, st.Dev_minor)
	p.MountID = st.Mnt_id
	return nil
}

// Close releases the path.
func (p *Path) Close() { unix.Close(p.fd) }

// Status reads every layer from the kernel. What can't be read makes the state
// unknown and stands in Error.
func (p *Path) Status() helper.PathStatus {
	s := helper.PathStatus{Path: p.Name, State: helper.Unknown}
	info, err := mount.Find(p.MountID)
	if err != nil {
		s.Error = fmt.Sprintf("cannot read the state of %q: %v", p.Name, helper.Because(err))
		return s
	}
	s.Filesystem = info.Filesystem
	s.Mount = flag(info.ReadOnly())
	s.Superblock = flag(info.SuperReadOnly())
	s.Property = helper.NoFlag
	if !p.Btrfs && hidesSubvolume(info) {
		// What is on top would seem to be locked by its mount flag, and below it the
		// subvolume is as it was.
		s.Property = ""
		s.Error = fmt.Sprintf("cannot tell the state of %q: a file system (%s) is mounted over its subvolume", p.Name, info.Filesystem)
	}
	if p.Btrfs {
		s.Subvolume = info.Root
		if err := p.readSubvolume(&s); err != nil {
			s.Property = ""
			s.Error = fmt.Sprintf("cannot read the property of %q: %v", p.Name, err)
		}
	}
	s.State = helper.PathState(s.Property, s.Mount, s.Superblock)
	return s
}

// hidesSubvolume reports whether a mount lies over one of btrfs at the same place, as the
// overlay of systemd-confext(8) over /etc.
func hidesSubvolume(top mount.Info) bool {
	infos, err := mount.List()
	return err == nil && slices.ContainsFunc(infos, func(below mount.Info) bool {
		return below.ID != top.ID && below.Point == top.Point && below.Filesystem == "btrfs"
	})
}

func flag(readOnly bool) helper.Flag {
	if readOnly {
		return helper.ReadOnly
	}
	return helper.Writable
}

func (p *Path) readSubvolume(s *helper.PathStatus) error {
	// An O_PATH descriptor takes no ioctl (open(2)).
	dir, err := unix.Openat(p.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	flags, err := btrfs.GetFlags(dir)
	if err != nil {
		return err
	}
	s.Property = flag(flags.ReadOnly())
	s.SubvolumeID, err = btrfs.SubvolumeID(dir)
	return err
}

// SetMountReadOnly sets or clears the mount flag. Setting it is the barrier: EBUSY,
// and nothing changed, while something holds a file open for writing through this
// mount.
func (p *Path) SetMountReadOnly(readOnly bool) error {
	if readOnly {
		return mount.SetReadOnly(p.fd)
	}
	return mount.SetWritable(p.fd)
}

// SetProperty sets or clears the property through a detached clone, so that it does
// not matter whether the visible mount is read-only, and reads it back.
func (p *Path) SetProperty(readOnly bool) error {
	dir, err := mount.OpenWritableClone(p.fd)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return btrfs.SetReadOnly(dir, readOnly)
}

// Subvolume returns what to look for in other mount namespaces. It must be closed.
func (p *Path) Subvolume() (*namespaces.Subvolume, error) { return namespaces.OpenSubvolume(p.fd) }

// ClearReceived takes the mark of "btrfs receive" off the subvolume, which must be writable,
// and reports whether there was one.
func (p *Path) ClearReceived() (was bool, err error) {
	dir, err := mount.OpenWritableClone(p.fd)
	if err != nil {
		return false, err
	}
	defer unix.Close(dir)
	return btrfs.ClearReceived(dir)
}

// MakeSuperblockWritable makes the whole filesystem writable, mounts and properties
// of it left as they are.
func (p *Path) MakeSuperblockWritable() error { return mount.MakeSuperblockWritable(p.fd) }

// Sync writes out what the filesystem still has in memory.
func (p *Path) Sync() error {
	// syncfs wants a descriptor that is not O_PATH (syncfs(2), EBADF).
	dir, err := unix.Openat(p.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("openat: %w", err)
	}
	defer unix.Close(dir)
	if err := unix.Syncfs(dir); err != nil {
		return fmt.Errorf("syncfs: %w", err)
	}
	return nil
}
