package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Commands are printed only where they leave a machine that boots. These functions say
// in a sentence why there are none, "" where there can be some.

// fixed says why nothing of the layout below a protected path can be mended by hand.
func (f Facts) fixed(root *Path) string {
	switch {
	case f.Owner != "":
		return f.Owner + " manages the layout of this system"
	case root == nil || !root.Btrfs || root.UUID == "" || root.Inside == "":
		return "it can get a subvolume only on a protected btrfs"
	case root.Inside == "/":
		return root.Name + " is the top level of its file system, and no subvolume can be beside it; this layout can't be mended by hand"
	case f.FstabLink:
		return f.fixedFstab()
	}
	if l := f.line(root.Name); l != nil {
		if subvolume, ok := l.subvolume(); ok && subvolume != root.Inside {
			return fmt.Sprintf("line %d of %s names a subvolume for %s that is not the mounted one; restart first, so that it is mounted", l.Number, f.Fstab, root.Name)
		}
	}
	return ""
}

// fixedFstab says why fstab can't be changed by hand.
func (f Facts) fixedFstab() string {
	if f.FstabLink {
		return f.Fstab + " is not a plain file; change the program that creates it"
	}
	return ""
}

// unmovable says why a directory can't get a subvolume of its own by commands.
func (f Facts) unmovable(p Place) string {
	root := f.protectedPath(p.Point)
	if why := f.fixed(root); why != "" {
		return why
	}
	switch {
	case neededToBoot(p.Real):
		return "the computer needs it to start, and may look for it where it is"
	case slices.ContainsFunc(f.Paths, func(q Path) bool { return isBelow(q.Name, p.Real) }):
		return "a protected path is in it"
	case slices.Contains(f.Blind, "nested-subvolume"):
		return "Immutray could not see whether it contains other subvolumes"
	}
	if l := f.line(p.Real); l != nil {
		return fmt.Sprintf("line %d of %s mounts something there, which is not mounted now; correct that line first", l.Number, f.Fstab)
	}
	if p.Subvolume {
		return "" // what lies in it moves with it
	}
	for _, inner := range f.Inner {
		if isBelow(inner.Name, p.Real) && (!inner.Mounted || f.line(inner.Name) == nil) {
			return "the subvolume " + inner.Name + " is in it, so this layout can't be mended by hand"
		}
	}
	return ""
}

// neededToBoot reports whether a directory is used before fstab's mounts are there, or
// is known to the boot loader by its path.
func neededToBoot(name string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return slices.Contains([]string{
		"", "bin", "boot", "dev", "efi", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "ostree", "proc", "run", "sbin", "sys", "sysroot", "usr",
	}, first)
}

// sibling returns where a directory gets a subvolume: beside the one of the protected
// path, not in it. What lies in a subvolume is not in its snapshots, and after a rollback
// to one the machine would have an empty directory there.
func (f Facts) sibling(root *Path, name string) string {
	level, prefix := path.Dir(root.Inside), ""
	if strings.HasPrefix(path.Base(root.Inside), "@") {
		prefix = "@"
	}
	// Of openSUSE's snapshots, /@/.snapshots/1/snapshot, each may become the root.
	if before, _, found := strings.Cut(root.Inside, "/.snapshots/"); found {
		level, prefix = path.Join("/", before), ""
	}
	first := path.Join(level, prefix+strings.ReplaceAll(strings.Trim(name, "/"), "/", "-"))
	free := first
	for i := 1; slices.Contains(f.Taken, free); i++ {
		free = fmt.Sprintf("%s.%d", first, i)
	}
	return free
}

// leftOver returns the directory that was copied when it got a subvolume of its own, for
// what lies in the old one: our commands used to leave that behind as NAME.old.
func (f Facts) leftOver(name string) string {
	for at := name; at != "/" && at != "."; at = path.Dir(at) {
		was, ok := strings.CutSuffix(at, ".old")
		if ok && (slices.Contains(f.Islands, was) || f.protects(was) || f.line(was) != nil) {
			return was
		}
	}
	return ""
}
