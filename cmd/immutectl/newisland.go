package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"immutray.org/helper/btrfs"
	"immutray.org/helper/config"
	"immutray.org/helper/islands"
	"immutray.org/helper/mount"
	"immutray.org/helper/protected"
	"immutray.org/helper/text"
)

// An island is a directory that is to get a subvolume of its own.
type island struct {
	dir          string
	source, uuid string // the btrfs, by a device and as fstab names it
	parent, name string // of the subvolume, from the top
	mounts       *mount.Tree
	on           mount.Info // the mount that the directory is on now
}

// newIsland looks where a directory is, and where its subvolume goes. Nil without an error
// is one that a lock does not make read-only.
func newIsland(c config.Config, dir string) (*island, error) {
	if !islands.IsPlain(dir) {
		return nil, errors.New("its name may contain only letters, digits and . _ - @ +")
	}
	frozen, err := findFrozen(c, dir)
	switch {
	case err != nil || frozen == nil:
		return nil, err
	case frozen.Why != "":
		return nil, errors.New("it is " + frozen.Why)
	}
	mounts, err := mount.List()
	if err != nil {
		return nil, err
	}
	i := &island{dir: dir, mounts: mount.NewTree(mounts)}
	over := i.mounts.Over(dir)
	if len(over) == 0 || over[len(over)-1].Filesystem != "btrfs" {
		return nil, errors.New("it is not on btrfs")
	}
	i.on = over[len(over)-1]
	i.source = i.on.Source
	return i, i.choose()
}

// findFrozen finds a directory among those that a lock makes read-only.
func findFrozen(c config.Config, dir string) (*islands.Frozen, error) {
	var paths []*protected.Path
	for _, name := range c.Paths {
		p, err := protected.Open(name)
		if err != nil {
			return nil, err
		}
		defer p.Close()
		paths = append(paths, p)
	}
	find := []func(config.Config, []*protected.Path) (islands.Found, error){islands.Find, islands.FindOptional}
	for _, find := range find {
		found, err := find(c, paths)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(found.Frozen, func(f islands.Frozen) bool { return f.Path == dir }); i >= 0 {
			return &found.Frozen[i], nil
		}
		if slices.ContainsFunc(found.Writable, func(w string) bool { return isIn(dir, w) }) {
			return nil, nil
		}
	}
	return nil, errors.New("it is not a directory that the configuration wants to be writable")
}

// isIn reports whether a path is dir, or below it.
func isIn(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// choose names the subvolume. It is a sibling of the system's: one inside is not in a
// snapshot of that, and a machine that was set back to one would have an empty directory
// there.
func (i *island) choose() error {
	root := i.on.Root
	if before, _, ok := strings.Cut(root, "/.snapshots/"); ok {
		root = path.Join(before, "snapshot") // openSUSE has its others in @, beside .snapshots
	}
	if root == "/" {
		return errors.New("the system is at the top of its btrfs, not in a subvolume of it")
	}
	i.name = strings.ReplaceAll(strings.Trim(i.dir, "/"), "/", "-")
	if strings.HasPrefix(path.Base(root), "@") {
		i.name = "@" + i.name
	}
	if i.parent = path.Dir(root); i.parent == "/" {
		i.parent = ""
	}
	return nil
}

// mayMove returns what speaks against moving the directory, and finds the UUID of its file
// system.
func (i *island) mayMove(fstab string) error {
	for _, m := range i.mounts.Mounts {
		if m.Point != i.dir && isIn(m.Point, i.dir) {
			return fmt.Errorf("%s is mounted below it", text.Quote(m.Point))
		}
	}
	text, err := os.ReadFile(fstab)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0][0] != '#' && mount.Unescape(fields[1]) == i.dir {
			return fmt.Errorf("%s already has a line for it, which is not mounted now", fstab)
		}
	}
	return i.mayCopy()
}

// mayCopy looks for subvolumes in the directory.
func (i *island) mayCopy() error {
	root, err := os.Open(i.on.Point)
	if err != nil {
		return err
	}
	defer root.Close()
	if i.uuid, err = btrfs.UUID(int(root.Fd())); err != nil {
		return err
	}
	nested, err := btrfs.ListNested(int(root.Fd()))
	if err != nil {
		return err
	}
	for _, n := range nested {
		below, err := btrfs.PathOf(int(root.Fd()), n)
		if err != nil {
			return err
		}
		if at := filepath.Join(i.on.Point, below); isIn(at, i.dir) {
			return fmt.Errorf("%s is a subvolume already", text.Quote(at))
		}
	}
	return nil
}
