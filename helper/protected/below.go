package protected

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/btrfs"
	"immutray.org/helper/mount"
	"immutray.org/helper/namespaces"
)

// A below is a subvolume that another mount hides at a protected path, as the overlay of
// systemd-confext(8) hides that of /etc. Its own mount flag is out of reach: no path leads
// there, and mount_setattr(2) takes nothing else. For the same reason no program can begin to
// write through that mount; what keeps others out is the property.
type below struct {
	mount    mount.Info
	dir      int   // its root directory, -1 where that can't be opened
	writable bool  // whether dir is on a writable mount of its own
	err      error // why it can't be opened
	device   uint64
}

// findBelow returns the subvolume that a path hides, nil where it hides none. When several
// do, it is the lowest: what was mounted there first. One that is on top as well is not
// hidden.
func findBelow(mounts []mount.Info, top mount.Info) *below {
	under := mount.Below(mounts, top)
	for depth := len(under); depth > 0; depth-- {
		if m := under[depth-1]; isWhole(m) && !sameRoot(m, top) {
			return openBelow(mounts, m, depth)
		}
	}
	return nil
}

// isWhole reports whether a mount shows a whole subvolume: its options end with the
// subvolume of its root (btrfs_show_options in fs/btrfs/super.c).
func isWhole(m mount.Info) bool {
	subvolume, ok := m.SuperOption("subvol")
	return m.Filesystem == "btrfs" && ok && subvolume == m.Root
}

func sameRoot(a, b mount.Info) bool { return a.Device == b.Device && a.Root == b.Root }

func openBelow(mounts []mount.Info, m mount.Info, depth int) *below {
	b := &below{mount: m, dir: -1}
	dir, err := mount.OpenBelow(m.Point, depth)
	b.writable = err == nil
	if err != nil {
		var shown error
		if dir, shown = mount.OpenShowing(mounts, m); shown != nil {
			b.err = err
			return b
		}
	}
	if b.err = b.use(dir); b.err != nil {
		unix.Close(dir)
	}
	return b
}

var errOther = errors.New("another one was found in its place")

// use takes a directory for the subvolume's root, if it is.
func (b *below) use(dir int) error {
	id, err := btrfs.SubvolumeID(dir)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	if want, _ := b.mount.SuperOption("subvolid"); st.Ino != btrfs.RootInode || want != strconv.FormatUint(id, 10) {
		return errOther
	}
	b.dir, b.device = dir, st.Dev
	return nil
}

func (b *below) close() {
	if b != nil && b.dir >= 0 {
		unix.Close(b.dir)
	}
}

// why says why the subvolume can't be looked at.
func (b *below) why() error {
	if errors.Is(b.err, unix.EPERM) {
		return errors.New("only root can look at its subvolume, which another mount hides")
	}
	return fmt.Errorf("its subvolume, which another mount hides, could not be opened: %w", b.err)
}

// onWritable calls work with the root directory of the subvolume on a writable mount.
func (b *below) onWritable(work func(dir int) error) error {
	switch {
	case b.dir < 0:
		return b.why()
	case b.writable:
		return work(b.dir)
	}
	dir, err := mount.OpenWritableClone(b.dir)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return work(dir)
}

func (b *below) subvolume() (*namespaces.Subvolume, error) {
	if b.dir < 0 {
		return nil, b.why()
	}
	return namespaces.OpenHidden(b.mount, b.dir)
}

// readBelow makes it the status of the subvolume that is hidden at the path. The mount flag
// is that of what is on top of it, through which the path is written to; of two subvolumes
// the property that is set less counts.
func (p *Path) readBelow(s *helper.PathStatus, top mount.Summary) {
	hidden, err := mount.Find(p.below.mount.ID)
	if err != nil {
		hidden = p.below.mount
	}
	s.OnTop, s.Filesystem, s.Subvolume = top.Filesystem, hidden.Filesystem, hidden.Root
	s.Mount = flag(top.ReadOnly() || top.SuperReadOnly())
	s.Superblock = flag(hidden.SuperReadOnly())
	seen := s.Property
	flags, err := btrfs.Flags(0), p.below.err
	if err != nil {
		err = p.below.why()
	} else if flags, err = btrfs.GetFlags(p.below.dir); err == nil {
		s.SubvolumeID, err = btrfs.SubvolumeID(p.below.dir)
	}
	switch {
	case err != nil:
		s.Property = ""
		s.Error = fmt.Sprintf("cannot tell the state of %q: %v", p.Name, err)
	case seen != helper.Writable && s.Error == "":
		s.Property = flag(flags.ReadOnly())
	}
}

// IsHidden reports whether something is mounted over a subvolume at the path.
func (p *Path) IsHidden() bool { return p.below != nil }

// Hidden returns st_dev of the subvolume that is hidden at the path, and whether there is
// one that could be opened.
func (p *Path) Hidden() (device uint64, ok bool) {
	if p.below == nil || p.below.dir < 0 {
		return 0, false
	}
	return p.below.device, true
}

// HiddenAt is Hidden for a protected path by its name.
func HiddenAt(name string) (device uint64, ok bool) {
	p, err := Open(name)
	if err != nil {
		return 0, false
	}
	defer p.Close()
	p.Status() // looks
	return p.Hidden()
}

// CanBeWritten returns nil unless what is on top of a hidden subvolume can never be written
// to, as an overlay without an upper directory.
func (p *Path) CanBeWritten() error {
	if p.below == nil {
		return nil
	}
	if top, err := mount.Of(p.fd); err == nil && top.SuperReadOnly() {
		return fmt.Errorf("what is mounted over it (%s) is read-only: unmount that first", top.Filesystem)
	}
	return nil
}

// HiddenMount returns the flag of the mount that is hidden at the path, "" where none is.
func (p *Path) HiddenMount() helper.Flag {
	if p.below == nil {
		return ""
	}
	hidden, err := mount.Find(p.below.mount.ID)
	if err != nil {
		return ""
	}
	return flag(hidden.ReadOnly())
}
