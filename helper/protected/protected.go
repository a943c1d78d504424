// Package protected opens a protected path and reads and sets its layers: the
// property, the mount flag, the superblock flag. Everything is done on one
// descriptor, so that what was checked is what is changed.
package protected

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/btrfs"
	"immutray.org/helper/mount"
	"immutray.org/helper/namespaces"
	"immutray.org/helper/nofollow"
	"immutray.org/helper/text"
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
	// Btrfs is whether there is a property: what is seen at the path is on btrfs, or what
	// is hidden there.
	Btrfs bool
	// WasBtrfs is whether it is known to have been so. It is for who opens the path to set.
	WasBtrfs bool

	fd    int
	whole bool   // what is seen at the path is a whole subvolume
	below *below // what is hidden there; nil for nothing
}

// Open opens the protected path called name. It must be a directory and a mount
// point, no symbolic link, and on btrfs the root of a subvolume; else the error
// wraps ErrUnfit. Any user may open one.
func Open(name string) (*Path, error) {
	fd, err := openDirectory(name)
	switch {
	case errors.Is(err, nofollow.ErrLink), errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
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

// openDirectory opens an absolute path, and follows no link.
func openDirectory(name string) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY
	fd, err := unix.Open("/", flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if part == "" {
			continue
		}
		next, err := nofollow.OpenAt(fd, part, flags)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
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
		return fmt.Errorf("cannot look at %q: %w", p.Name, text.Because(err))
	}
	p.Device = unix.Mkdev(st.Dev_major, st.Dev_minor)
	p.MountID = st.Mnt_id
	p.whole = onBtrfs && st.Ino == btrfs.RootInode
	p.Btrfs = p.whole
	if p.whole {
		return nil // Status looks whether it hides another one
	}
	top, err := mount.Of(p.fd)
	if err == nil {
		err = p.lookBelow(top)
	}
	if err != nil && !errors.Is(err, mount.ErrNotListed) {
		return fmt.Errorf("cannot look at %q: %w", p.Name, err)
	}
	if onBtrfs && p.below == nil {
		return &unfitError{p.Name, errors.New("it is a directory on btrfs, not a subvolume")}
	}
	return nil
}

// lookBelow looks once for a subvolume that is hidden at the path. Only where a mount lies
// below another it needs the whole mount table.
func (p *Path) lookBelow(top mount.Summary) error {
	if p.below != nil {
		return nil
	}
	if hides, err := top.Hides(); err != nil || !hides {
		return err
	}
	mounts, err := mount.List()
	if err != nil {
		return err
	}
	if top, ok := mount.ByID(mounts, top.ID); ok {
		p.below = findBelow(mounts, top)
		p.Btrfs = p.Btrfs || p.below != nil
	}
	return nil
}

// Mount returns the mount that is seen at the path.
func (p *Path) Mount() (mount.Summary, error) { return mount.Of(p.fd) }

// Close releases the path.
func (p *Path) Close() {
	p.below.close()
	unix.Close(p.fd)
}

// Status reads every layer from the kernel. What can't be read makes the state
// unknown, and Error says why.
func (p *Path) Status() helper.PathStatus {
	s := helper.PathStatus{Path: p.Name, State: helper.Unknown}
	top, err := mount.Of(p.fd)
	if err == nil {
		err = p.lookBelow(top)
	}
	if err != nil {
		s.Error = fmt.Sprintf("cannot read the state of %q: %v", p.Name, text.Because(err))
		return s
	}
	s.Filesystem = top.Filesystem
	s.Mount = flag(top.ReadOnly())
	s.Superblock = flag(top.SuperReadOnly())
	s.Property = helper.NoFlag
	if p.whole {
		s.Subvolume = top.Root
		if err := p.readSubvolume(&s); err != nil {
			s.Property = ""
			s.Error = fmt.Sprintf("cannot read the property of %q: %v", p.Name, err)
		}
	}
	if p.below != nil {
		p.readBelow(&s, top)
	}
	if p.WasBtrfs && !p.Btrfs {
		s.Property = ""
		s.Error = fmt.Sprintf("cannot tell the state of %q: it was on btrfs when it was last locked or unlocked, but what is mounted there now is not (%s)", p.Name, top.Filesystem)
	}
	s.State = helper.PathState(s.Property, s.Mount, s.Superblock)
	return s
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
	return p.onSubvolumes(func(dir int) error { return btrfs.SetReadOnly(dir, readOnly) })
}

// onSubvolumes calls work with the root directory of each subvolume of the path, on a
// writable mount.
func (p *Path) onSubvolumes(work func(dir int) error) error {
	if p.whole {
		dir, err := mount.OpenWritableClone(p.fd)
		if err == nil {
			err = work(dir)
			unix.Close(dir)
		}
		if err != nil {
			return err
		}
	}
	if p.below != nil {
		return p.below.onWritable(work)
	}
	return nil
}

// Subvolumes returns what to look for in other mount namespaces: what is seen at the path,
// and what is hidden there. Each must be closed.
func (p *Path) Subvolumes() ([]*namespaces.Subvolume, error) {
	seen, err := namespaces.OpenSubvolume(p.fd)
	if err != nil || p.below == nil {
		return []*namespaces.Subvolume{seen}, err
	}
	hidden, err := p.below.subvolume()
	if err != nil {
		seen.Close()
		return nil, err
	}
	return []*namespaces.Subvolume{seen, hidden}, nil
}

// ClearReceived takes the mark of "btrfs receive" off the subvolume, which must be writable,
// and reports whether there was one.
func (p *Path) ClearReceived() (was bool, err error) {
	err = p.onSubvolumes(func(dir int) error {
		marked, err := btrfs.ClearReceived(dir)
		was = was || marked
		return err
	})
	return was, err
}

// MakeSuperblockWritable makes the whole filesystem writable, mounts and properties
// of it left as they are.
func (p *Path) MakeSuperblockWritable() error {
	if p.below != nil && p.below.dir >= 0 {
		if err := mount.MakeSuperblockWritable(p.below.dir); err != nil || !p.whole {
			return err
		}
	}
	return mount.MakeSuperblockWritable(p.fd)
}

// Sync writes out what the filesystem still has in memory.
func (p *Path) Sync() error {
	if p.below != nil && p.below.dir >= 0 {
		if err := unix.Syncfs(p.below.dir); err != nil {
			return fmt.Errorf("syncfs: %w", err)
		}
	}
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
