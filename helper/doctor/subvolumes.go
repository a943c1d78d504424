package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"immutray.org/helper/mount"
)

// topLevel is the id of the top level of a btrfs (BTRFS_FS_TREE_OBJECTID). The option
// subvolid=0 means it too.
const topLevel = 5

// A filesystem is a btrfs that a protected path is on, and what is known of its
// subvolumes.
type filesystem struct {
	uuid  string
	paths map[uint64]string // by id
	whole bool              // these are all
}

// subvolumes looks whether the subvolumes that fstab names exist. Only root can list
// them; others know of those that are mounted.
func (g *gatherer) subvolumes(ctx context.Context) {
	seen := map[string]bool{}
	for _, p := range g.Paths {
		if !p.Btrfs || p.UUID == "" || seen[p.UUID] {
			continue
		}
		seen[p.UUID] = true
		fs := g.filesystem(ctx, p)
		for _, name := range fs.paths {
			g.Taken = append(g.Taken, name)
		}
		slices.Sort(g.Taken)
		for _, l := range g.Lines {
			if l.Type == "btrfs" && g.isOf(fs.uuid, l.Source) {
				g.lookFor(fs, l)
			}
		}
	}
}

// lookFor notes a subvolume that a line of fstab names and that does not exist.
func (g *gatherer) lookFor(fs filesystem, l FstabLine) {
	byPath, named := l.subvolume()
	byID, numbered := l.subvolumeID()
	known := func(name string) bool {
		for _, p := range fs.paths {
			if p == name {
				return true
			}
		}
		return false
	}
	absent := ""
	switch {
	case named && !known(byPath):
		absent = "subvol=" + byPath
	case numbered && fs.paths[byID] == "":
		absent = fmt.Sprintf("subvolid=%d", byID)
	case named && numbered && fs.paths[byID] != byPath:
		// Of another one's id the kernel wants to know nothing (mount_subvol in fs/btrfs/super.c).
		g.Absent = append(g.Absent, Absent{l, fmt.Sprintf("subvol=%s is not subvolid=%d", byPath, byID)})
		return
	}
	switch {
	case absent == "":
	case !fs.whole:
		g.unseen("fstab", "the subvolume of %s in %s: only root can see whether it exists", l.Point, g.Fstab)
	default:
		g.Absent = append(g.Absent, Absent{l, absent})
	}
}

// subvolumeID returns the number that the option subvolid names.
func (l FstabLine) subvolumeID() (uint64, bool) {
	value, ok := l.option("subvolid")
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseUint(value, 0, 64)
	if id == 0 && err == nil {
		id = topLevel
	}
	return id, true
}

func (g *gatherer) filesystem(ctx context.Context, p Path) filesystem {
	fs := filesystem{uuid: p.UUID, paths: map[uint64]string{topLevel: "/"}}
	if over := g.tree.Over(p.Name); len(over) > 0 {
		for _, m := range g.tree.Mounts {
			subvolume, _ := m.SuperOption("subvol")
			id, _ := m.SuperOption("subvolid")
			if n, err := strconv.ParseUint(id, 10, 64); err == nil && m.Device == over[len(over)-1].Device {
				fs.paths[n] = subvolume
			}
		}
	}
	if os.Geteuid() != 0 {
		return fs
	}
	out, err := exec.CommandContext(ctx, "btrfs", "subvolume", "list", "-a", p.Name).Output()
	if err != nil {
		if !errors.Is(err, exec.ErrNotFound) {
			g.unseen("fstab", "the subvolumes of %s: %v", p.Name, err)
		}
		return fs
	}
	fs.whole = true
	for line := range bytes.Lines(out) {
		if id, name, ok := parseSubvolume(string(line)); ok {
			fs.paths[id] = name
		}
	}
	return fs
}

// parseSubvolume reads a line of "btrfs subvolume list -a":
//
//	ID 257 gen 7 top level 5 path <FS_TREE>/@var
//
// What is not below the subvolume that was asked for has the <FS_TREE>.
func parseSubvolume(line string) (id uint64, name string, ok bool) {
	before, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " path ")
	fields := strings.Fields(before)
	if !ok || len(fields) < 2 || fields[0] != "ID" {
		return 0, "", false
	}
	id, err := strconv.ParseUint(fields[1], 10, 64)
	return id, path.Join("/", strings.TrimPrefix(name, "<FS_TREE>")), err == nil
}

// isOf reports whether the source of a line of fstab is a device of the btrfs.
func (g *gatherer) isOf(uuid, source string) bool {
	kind, value, tagged := strings.Cut(mount.Unescape(source), "=")
	if tagged {
		value = strings.Trim(value, `"`)
	}
	device := mount.Unescape(source)
	switch {
	case tagged && kind == "UUID":
		return strings.EqualFold(value, uuid)
	case tagged: // LABEL=, PARTUUID=, PARTLABEL=
		device = filepath.Join("/dev/disk", "by-"+strings.ToLower(kind), value)
	}
	node, err := filepath.EvalSymlinks(device)
	if err != nil || !strings.HasPrefix(node, "/dev/") {
		return false
	}
	_, err = os.Stat(filepath.Join("/sys/fs/btrfs", uuid, "devices", filepath.Base(node)))
	return err == nil
}
