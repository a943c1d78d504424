package doctor

import (
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper/btrfs"
	"immutray.org/helper/mount"
	"immutray.org/helper/protected"
)

// place looks at a directory. What can't be read of it is left empty.
func (g *gatherer) place(check, name string) Place {
	p := Place{Name: name}
	real, err := g.resolve(name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return p
	}
	if err != nil {
		g.unseen(check, "%s: %v", name, err)
		return p
	}
	fd, err := unix.Open(real, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		// Others may not read it: who it is can be told all the same.
		fd, err = unix.Open(real, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return p
	}
	defer unix.Close(fd)
	p.Real = real
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_INO, &st); err != nil {
		g.unseen(check, "%s: %v", name, err)
		return p
	}
	info, err := mount.Of(fd)
	if err != nil {
		g.unseen(check, "%s: %v", name, err)
		return p
	}
	p.Point = info.Point
	if p.Btrfs, _ = btrfs.IsBtrfs(fd); !p.Btrfs {
		return p
	}
	p.Subvolume = st.Ino == btrfs.RootInode
	if below, err := filepath.Rel(info.Point, p.Real); err == nil {
		p.Inside = path.Join(info.Root, below)
	}
	p.UUID = uuidOfMount(fd, info.Point)
	return p
}

// uuidOfMount asks the directory itself, or else where it is mounted.
func uuidOfMount(fd int, point string) string {
	if uuid, err := btrfs.UUID(fd); err == nil {
		return uuid
	}
	dir, err := unix.Open(point, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(dir)
	uuid, err := btrfs.UUID(dir)
	if err != nil {
		return ""
	}
	return uuid
}

// nested finds the subvolumes in directories of the protected ones, and which of them
// show there, through the mount of the protected path, and can be written.
func (g *gatherer) nested() {
	for _, p := range g.opened {
		if p.Btrfs && !p.IsHidden() {
			g.nestedIn(p)
		}
	}
}

func (g *gatherer) nestedIn(p *protected.Path) {
	fd, err := unix.Open(p.Name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		g.unseen("nested-subvolume", "nested subvolumes of %s: %v", p.Name, err)
		return
	}
	defer unix.Close(fd)
	refs, err := btrfs.ListNested(fd)
	if err != nil {
		g.unseen("nested-subvolume", "nested subvolumes of %s: %v", p.Name, err)
		return
	}
	for _, ref := range refs {
		below, err := btrfs.PathOf(fd, ref)
		if errors.Is(err, unix.EACCES) {
			g.unseen("nested-subvolume", "a nested subvolume of %s: only root can see where it is", p.Name)
			continue
		}
		if err != nil {
			g.unseen("nested-subvolume", "a nested subvolume of %s: %v", p.Name, err)
			continue
		}
		name := filepath.Join(p.Name, below)
		over := g.tree.Over(name)
		if len(over) == 0 {
			continue
		}
		at := over[len(over)-1]
		g.Inner = append(g.Inner, Inner{Name: name, Mounted: at.Point == name})
		if at.ID != p.MountID {
			continue // it has a mount of its own, or another one lies over it
		}
		if readOnly, err := isReadOnly(name); err != nil {
			g.unseen("nested-subvolume", "the nested subvolume %s: %v", name, err)
		} else if !readOnly && !g.freezes(name) && !g.protects(name) {
			g.Nested = append(g.Nested, g.place("nested-subvolume", name))
		}
	}
}

// freezes reports whether a directory is told of as an island anyway.
func (g *gatherer) freezes(name string) bool {
	return slices.ContainsFunc(g.Frozen, func(f Place) bool { return f.Name == name || slices.Contains(f.Islands, name) })
}

func isReadOnly(name string) (bool, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	flags, err := btrfs.GetFlags(fd)
	return flags.ReadOnly(), err
}

// mountOf returns the mount point that a path is below, or at.
func mountOf(name string, points []string) string {
	longest := ""
	for _, p := range points {
		if (name == p || strings.HasPrefix(name, strings.TrimSuffix(p, "/")+"/")) && len(p) > len(longest) {
			longest = p
		}
	}
	return longest
}
