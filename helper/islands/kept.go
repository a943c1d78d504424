package islands

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"immutray.org/helper/mount"
)

// freezes reports whether a directory becomes read-only with a protected path: by the mount
// flag, by the property of the subvolume, or because its files are kept there.
func (l *look) freezes(p directory) (why string, frozen bool) {
	if !l.isOurs(p.mount) {
		return l.keptIn(p)
	}
	for _, own := range l.paths {
		switch {
		case own.MountID == p.mount.ID || p.device != 0 && own.Device == p.device:
			frozen = true
		case p.device == 0 && sameSubvolume(l.own[own.MountID], p.mount):
			frozen = true
		}
	}
	if frozen && p.mount.Point == p.real && !l.protects(p.mount) {
		why = fmt.Sprintf("a bind mount of %q", p.mount.Root)
	}
	return why, frozen
}

// sameSubvolume compares what the kernel shows of mounts: on btrfs the options end with
// the subvolume of the mount's own root (btrfs_show_options in fs/btrfs/super.c).
func sameSubvolume(a, b mount.Info) bool {
	ofA, _ := a.SuperOption("subvolid")
	ofB, _ := b.SuperOption("subvolid")
	return a.Device == b.Device && ofA == ofB
}

// keptIn reports whether a mount of another file system keeps its files in a protected
// subvolume. A mount that is read-only already does not count.
func (l *look) keptIn(p directory) (why string, frozen bool) {
	m := p.mount
	if m.ReadOnly() || m.SuperReadOnly() {
		return "", false
	}
	what, dirs := l.madeOf(m)
	for _, dir := range dirs {
		kept := l.directory(dir)
		if kept.absent || !l.isOurs(kept.mount) {
			continue // on a third file system, which is not followed
		}
		if _, frozen := l.freezes(kept); frozen {
			return fmt.Sprintf("%s %q", what, dir), true
		}
	}
	return "", false
}

// madeOf returns the directories in which a mount keeps its files.
func (l *look) madeOf(m mount.Info) (what string, dirs []string) {
	switch {
	case m.Filesystem == "overlay":
		upper, _ := m.SuperOption("upperdir")
		return "an overlay whose upper directory is", absolute(upper)
	case strings.HasPrefix(m.Filesystem, "fuse"):
		// With fusermount(1) every user may mount, with any name and source, and must not be
		// able to have a lock refused. So only mounts of user 0 count.
		if user, _ := m.SuperOption("user_id"); user != "0" {
			return "", nil
		}
		if strings.HasSuffix(m.Filesystem, ".mergerfs") {
			return "a mergerfs with the branch", l.branches(m)
		}
		return "a mount that keeps its files in", absolute(m.Source)
	}
	return "an image in", backing(m.Source)
}

func absolute(dir string) []string {
	if !path.IsAbs(dir) {
		return nil // relative to an unknown directory
	}
	return []string{path.Clean(dir)}
}

// backing returns the file behind a loop device.
func backing(source string) []string {
	name, ok := strings.CutPrefix(source, "/dev/loop")
	if !ok {
		return nil
	}
	number, _, _ := strings.Cut(name, "p") // loop0p1 is a partition
	if number == "" || strings.Trim(number, "0123456789") != "" {
		return nil
	}
	file, err := os.ReadFile(filepath.Join("/sys/block", "loop"+number, "loop/backing_file"))
	if err != nil {
		return nil
	}
	return absolute(strings.TrimSpace(string(file)))
}
