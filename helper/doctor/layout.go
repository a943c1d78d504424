package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"immutray.org/helper/config"
)

func checkProtected(f Facts) []Finding {
	var found []Finding
	for _, p := range f.Paths {
		finding := Finding{Severity: OK, Check: "protected-path", What: p.Name + " is a mount and a subvolume of its own", Why: "it can be locked"}
		switch {
		case !p.Unfit && p.Btrfs:
		case !p.Unfit:
			finding.Severity = Problem
			finding.What = p.Name + " is not on btrfs"
			finding.Why = "only its mount can be locked, which lasts until a restart and holds for programs that see this mount"
		case p.Real != p.Name:
			finding.Severity = Problem
			finding.What = p.Name + " is no directory of its own"
			finding.Why = `the lock refuses to work; the configuration says in "paths" what is protected`
		default:
			finding.Severity = Problem
			finding.What = p.Name + " is a directory, not a subvolume with a mount of its own"
			if p.Subvolume {
				finding.What = p.Name + " is a subvolume, but has no mount of its own"
			}
			finding.Why = "a lock covers whole mounts and subvolumes"
			finding.Mend, finding.Restart = f.toSubvolume(p.Place), true
		}
		found = append(found, finding)
	}
	return found
}

func checkIslands(f Facts) []Finding {
	if len(f.Frozen) == 0 {
		return []Finding{{Severity: OK, Check: "writable-island", What: "what must stay writable is kept apart from what is locked", Why: "a lock makes nothing else read-only"}}
	}
	var found []Finding
	for _, p := range f.Frozen {
		finding := Finding{
			Severity: Problem, Check: "writable-island",
			What: p.Name + " would become read-only with the system",
			Why:  "programs need to write there, and it has no subvolume and mount of its own, so the lock refuses to work",
			Mend: f.toSubvolume(p), Restart: true,
		}
		switch {
		case p.Why != "":
			// Whoever made it so has to say where its files are to go.
			finding.What += ": it is " + p.Why
			finding.Why = "programs need to write there, and what it is made of lies on a protected path, so the lock refuses to work"
			finding.Mend = nil
		case p.Name == "/tmp":
			finding.Mend = []string{f.append("tmpfs /tmp tmpfs mode=1777,nosuid,nodev 0 0")}
		}
		found = append(found, finding)
	}
	return found
}

func checkNested(f Facts) []Finding {
	if len(f.Nested) == 0 {
		return []Finding{{Severity: OK, Check: "nested-subvolume", What: "no subvolume is hidden below a protected path", Why: "the lock covers all of it"}}
	}
	var found []Finding
	for _, p := range f.Nested {
		found = append(found, Finding{
			Severity: Problem, Check: "nested-subvolume",
			What: p.Name + " is a subvolume below a protected path, and not protected itself",
			Why:  `the lock holds only half there, by the mount above; mount it as its own, and add it to "paths" if it is to be locked`,
			Mend: []string{f.appendFstab(p), "mount " + quote(p.Name)},
		})
	}
	return found
}

func checkSwap(f Facts) []Finding {
	var found []Finding
	for _, s := range f.Swaps {
		if s.Protected == "" {
			continue
		}
		finding := Finding{
			Severity: Problem, Check: "swap",
			What: "the swap file " + s.File + " is in the subvolume of " + s.Protected,
			Why:  "while it is in use, that subvolume can't be locked",
		}
		for _, p := range f.Paths {
			if p.Name == s.Protected && p.Btrfs {
				finding.Mend = f.moveSwap(s, p.Place)
			}
		}
		found = append(found, finding)
	}
	if found == nil {
		found = []Finding{{Severity: OK, Check: "swap", What: "no swap file is in a protected subvolume", Why: "swap does not block the lock"}}
	}
	return found
}

func checkFstab(f Facts) []Finding {
	found := append(readOnlyMounts(f), lateIslands(f)...)
	if found == nil {
		found = []Finding{{Severity: OK, Check: "fstab", What: f.Fstab + " makes no whole file system read-only", Why: "mounting leaves the rest of it writable"}}
	}
	return found
}

// readOnlyMounts looks at ro as mount(8) takes it: for the whole filesystem, unless it is
// told otherwise. Since util-linux 2.39 mount sets it through the new mount API, and
// the other subvolumes of the filesystem may come up read-only as well (util-linux issue
// 3158); since 2.41 there is ro=vfs for one mount alone.
func readOnlyMounts(f Facts) []Finding {
	var found []Finding
	for _, l := range f.Lines {
		if l.Type != "btrfs" || !l.superblockReadOnly() || !f.protects(l.Point) || !f.hasWritable() {
			continue
		}
		finding := Finding{
			Severity: Warning, Check: "fstab",
			What: fmt.Sprintf("%s has the option ro in line %d of %s", l.Point, l.Number, f.Fstab),
			Why:  "mount may apply it to the whole file system, and make what must stay writable read-only too",
		}
		switch {
		case f.UtilLinux == "":
			finding.Why += "; ro=vfs, of util-linux 2.41 and newer, does not"
		case atLeast(f.UtilLinux, 2, 41):
			finding.Why += "; ro=vfs does not"
			finding.Mend = []string{f.replaceFstab(l.Number, l.withOption("ro=vfs"))}
		case atLeast(f.UtilLinux, 2, 39):
			finding.Why += "; the seal locks at boot without it"
			finding.Mend = []string{f.replaceFstab(l.Number, l.withOption("rw"))}
		default: // the old API sets it on the mount alone
			continue
		}
		found = append(found, finding)
	}
	return found
}

// lateIslands looks for mounts that local-fs.target does not wait for. The seal comes
// after that target, and what is not mounted then is a directory of the system.
func lateIslands(f Facts) []Finding {
	var found []Finding
	for _, l := range f.Lines {
		option := l.lateOption()
		if option == "" || !f.carriesIsland(l.Point) {
			continue
		}
		found = append(found, Finding{
			Severity: Warning, Check: "fstab",
			What: fmt.Sprintf("%s has the option %s in line %d of %s", l.Point, option, l.Number, f.Fstab),
			Why:  "it may be mounted too late for the seal, which then finds that it would become read-only, and does not lock; an automount is there in time",
			Mend: []string{f.replaceFstab(l.Number, l.withOptions(append(slices.Clone(l.Options), "x-systemd.automount")))},
		})
	}
	return found
}

// carriesIsland reports whether what fstab mounts at point keeps an island apart from
// the protected paths: it is mounted there, or above, or it is a person's home.
func (f Facts) carriesIsland(point string) bool {
	var points []string
	for _, l := range f.Lines {
		points = append(points, l.Point)
	}
	return !f.protects(point) && slices.ContainsFunc(f.Islands, func(island string) bool {
		at := mountOf(island, points)
		homes := island == config.HomeIsland && (at == "" || f.protects(at))
		return at == point || homes && path.Dir(point) == island
	})
}

func (f Facts) protects(name string) bool {
	for _, p := range f.Paths {
		if p.Name == name {
			return true
		}
	}
	return false
}

// hasWritable reports whether fstab mounts a btrfs writable.
func (f Facts) hasWritable() bool {
	for _, l := range f.Lines {
		if l.Type == "btrfs" && !l.superblockReadOnly() {
			return true
		}
	}
	return false
}

// atLeast compares the first two numbers of a version. What is no version is old.
func atLeast(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(strings.TrimSpace(version), "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a > major || a == major && b >= minor
}
