package doctor

import (
	"fmt"
	"path"
	"slices"

	"immutray.org/helper/config"
)

func checkFstab(f Facts) []Finding {
	found := slices.Concat(absentSubvolumes(f), readOnlyMounts(f), lateIslands(f))
	if found == nil {
		found = []Finding{{Severity: OK, Check: "fstab", What: "every subvolume in " + f.Fstab + " exists, and no line makes a whole file system read-only", Why: "the next boot mounts what it should"}}
	}
	return found
}

// absentSubvolumes looks at lines whose subvolume does not exist. A mount that fails, and
// need not come late, takes local-fs.target with it: the boot ends in emergency mode
// (systemd.special(7)).
func absentSubvolumes(f Facts) []Finding {
	var found []Finding
	for _, a := range f.Absent {
		finding := Finding{
			Severity: Problem, Check: "fstab",
			What: fmt.Sprintf("line %d of %s mounts a subvolume at %s that does not exist: %s", a.Line.Number, f.Fstab, a.Line.Point, a.Option),
			Why:  "the next boot ends in emergency mode; correct the line, or remove it",
		}
		switch {
		case a.Line.Point == "/":
			finding.Severity = Warning
			finding.Why = "the boot loader may name the right one, but programs that rely on this line use the wrong one; correct the line"
		case a.Line.lateOption() != "":
			finding.Severity = Warning
			finding.Why = "it can't be mounted; correct the line, or remove it"
		}
		found = append(found, finding)
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
			Why:  "mount may apply it to the whole file system, and so make directories read-only that must stay writable",
		}
		switch {
		case f.UtilLinux == "":
			finding.Why += "; ro=vfs, of util-linux 2.41 and newer, does not"
		case atLeast(f.UtilLinux, 2, 41):
			finding.Why += "; ro=vfs does not"
			f.mendOr(&finding, f.fixedFstab(), func() string { return f.replaceLine(l, l.withOption("ro=vfs")) })
		case atLeast(f.UtilLinux, 2, 39):
			finding.Why += "; the seal locks at boot without it"
			f.mendOr(&finding, f.fixedFstab(), func() string { return f.replaceLine(l, l.withOption("rw")) })
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
		finding := Finding{
			Severity: Warning, Check: "fstab",
			What: fmt.Sprintf("%s has the option %s in line %d of %s", l.Point, option, l.Number, f.Fstab),
			Why:  "it may be mounted too late: then the seal takes it for a directory that would become read-only, and does not lock; an automount is there in time",
		}
		f.mendOr(&finding, f.fixedFstab(), func() string {
			return f.replaceLine(l, l.withOptions(append(slices.Clone(l.Options), "x-systemd.automount")))
		})
		found = append(found, finding)
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

// hasWritable reports whether fstab mounts a btrfs writable.
func (f Facts) hasWritable() bool {
	for _, l := range f.Lines {
		if l.Type == "btrfs" && !l.superblockReadOnly() {
			return true
		}
	}
	return false
}
