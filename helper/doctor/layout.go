package doctor

import (
	"fmt"
	"slices"

	"immutray.org/helper/text"
)

func checkProtected(f Facts) []Finding {
	var found []Finding
	var covered []Path
	for _, p := range f.Paths {
		finding := Finding{Severity: OK, Check: "protected-path", What: p.Name + " is a mount and a subvolume of its own", Why: "it can be locked"}
		switch {
		case p.OnTop != "":
			finding.Severity = Warning
			finding.What = "the subvolume of " + p.Name + " is hidden: another mount (" + p.OnTop + ") is on top of it"
			finding.Why = "Immutray locks the subvolume below that mount, but only root can see its state"
		case !p.Unfit && p.Btrfs:
		case !p.Unfit:
			finding.Severity = Problem
			finding.What = p.Name + " is not on btrfs"
			finding.Why = "only its mount can be locked; that lasts until the next restart, and only for programs that see this mount"
		case p.Real != p.Name:
			finding.Severity = Problem
			finding.What = p.Name + " is not a directory, or is a symbolic link"
			finding.Why = "Immutray refuses to lock; correct \"paths\" in " + f.Settings.File
		case p.Subvolume:
			finding.Severity = Problem
			finding.What = p.Name + " is a subvolume, but has no mount of its own"
			finding.Why = "a lock covers whole mounts and subvolumes"
			finding.Restart = true
			f.mendOr(&finding, f.fixed(f.protectedPath(p.Point)), func() string { return f.mountThere(p.Place) })
		case f.protects(p.Point):
			covered = append(covered, p)
			continue
		default:
			finding.Severity = Problem
			finding.What = p.Name + " is a directory, and has no subvolume and mount of its own"
			finding.Why = "a lock covers whole mounts and subvolumes; remove it from \"paths\" in " + f.Settings.File + ", or give it a subvolume and a mount"
		}
		found = append(found, finding)
	}
	if len(covered) > 0 {
		found = append(found, f.coveredPaths(covered))
	}
	return found
}

// coveredPaths judges directories that are locked with the protected path they lie in,
// and need not be named. To give one like /etc a subvolume would leave the computer
// without it until it is mounted.
func (f Facts) coveredPaths(covered []Path) Finding {
	names := placeNames(covered)
	var others []string
	for _, p := range f.Paths {
		if !slices.Contains(names, p.Name) {
			others = append(others, p.Name)
		}
	}
	have, them := "has", "it"
	if len(names) > 1 {
		have, them = "have", "them"
	}
	finding := Finding{
		Severity: Problem, Check: "protected-path",
		What: fmt.Sprintf("%s %s no subvolume and mount of its own", text.List(names), have),
		Why:  fmt.Sprintf(`the lock of %s covers %s anyway, but Immutray refuses to lock as long as "paths" names %s`, covered[0].Point, them, them),
	}
	why := ""
	if f.Settings.Exists {
		why = fmt.Sprintf("%s exists already; change \"paths\" in it to name only %s", f.Settings.File, text.List(others))
	}
	f.mendOr(&finding, why, func() string { return f.leaveOut(others) })
	return finding
}

func placeNames(paths []Path) []string {
	var names []string
	for _, p := range paths {
		names = append(names, p.Name)
	}
	return names
}

// mendOr gives a finding its commands, or says in a sentence why there are none.
func (f Facts) mendOr(finding *Finding, whyNot string, commands func() string) {
	if whyNot != "" {
		finding.Why += "; there are no commands for it: " + whyNot
		return
	}
	finding.Mend = []string{commands()}
}

func checkIslands(f Facts) []Finding {
	if len(f.Frozen) == 0 {
		return []Finding{{Severity: OK, Check: "writable-island", What: "every directory that must stay writable is outside the locked subvolumes", Why: "a lock makes nothing else read-only"}}
	}
	var found []Finding
	for _, p := range f.Frozen {
		names := p.Islands
		if len(names) == 0 {
			names = []string{p.Name}
		}
		finding := Finding{
			Severity: Problem, Check: "writable-island",
			What: text.List(names) + " would become read-only with the system",
			Why:  "programs write there, so Immutray refuses to lock",
		}
		switch {
		case p.Why != "":
			// Whoever made it so has to say where its files are to go.
			finding.What += ": it is " + p.Why
			finding.Why = "programs write there, and their files are on a protected subvolume, so Immutray refuses to lock"
		case p.Name == "/tmp":
			whyNot := ""
			if l := f.line("/tmp"); l != nil {
				whyNot = fmt.Sprintf("line %d of %s mounts something there, which is not mounted now; correct that line first", l.Number, f.Fstab)
			}
			finding.Restart = true
			f.mendOr(&finding, whyNot, func() string { return f.addTmpfs("/tmp") })
		default:
			finding.Restart = true
			f.mendOr(&finding, f.unmovable(p), func() string { return f.ownSubvolume(p) })
		}
		found = append(found, finding)
	}
	return found
}

func checkNested(f Facts) []Finding {
	var found []Finding
	for _, p := range f.Nested {
		finding := Finding{
			Severity: Problem, Check: "nested-subvolume",
			What: p.Name + " is a subvolume below a protected path, and not protected itself",
			Why:  `only the mount above it locks it, not its own property; give it a mount of its own, and name it in "paths" if it should be locked`,
		}
		if was := f.leftOver(p.Name); was != "" {
			finding.Severity = Warning
			finding.What = p.Name + " was left behind when " + was + " got a subvolume of its own"
			finding.Why = "it only takes up space; delete " + was + ".old when you are sure that nothing in it is needed"
			found = append(found, finding)
			continue
		}
		whyNot := f.unmovable(p)
		for _, frozen := range f.Frozen {
			if isBelow(p.Name, frozen.Real) {
				whyNot = "it is in " + frozen.Real + ", so this layout can't be mended by hand"
			}
		}
		finding.Restart = true
		f.mendOr(&finding, whyNot, func() string { return f.ownSubvolume(p) })
		found = append(found, finding)
	}
	if found == nil {
		found = []Finding{{Severity: OK, Check: "nested-subvolume", What: "no subvolume is hidden below a protected path", Why: "the lock covers all of it"}}
	}
	return found
}
