package islands

import (
	"os"
	"path"
	"strings"

	"immutray.org/helper/mount"
)

// fstabPath is where the mounts at boot are.
const fstabPath = "/etc/fstab"

// branches returns the writable branches of a mergerfs. The mount table has them without the
// beginning that they share: "1:2" for /mnt/disk1:/mnt/disk2 (its option fsname). fstab has the
// whole names.
func (l *look) branches(m mount.Info) []string {
	fstab, _ := os.ReadFile(fstabPath)
	list := mergerfsIn(string(fstab), m.Point)
	if list == "" {
		list = m.Source
	}
	var all []string
	for branch := range strings.SplitSeq(list, ":") {
		dir, mode, _ := strings.Cut(branch, "=")
		if dir == "" || mode == "RO" || strings.HasPrefix(mode, "RO,") {
			continue
		}
		// What they share is mostly only the "/".
		all = append(all, l.expand(path.Join("/", dir))...)
	}
	return all
}

// expand returns the mount points that match a pattern of shell wildcards. Reading directories
// for other matches could take forever.
func (l *look) expand(pattern string) []string {
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{pattern}
	}
	var points []string
	for _, m := range l.tree.Mounts {
		if fits, err := path.Match(pattern, m.Point); err == nil && fits {
			points = append(points, m.Point)
		}
	}
	return points
}

// mergerfsIn returns the source of the line for a mergerfs at a mount point in an fstab,
// "" when there is none.
func mergerfsIn(fstab, point string) string {
	for line := range strings.Lines(fstab) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0][0] == '#' || !strings.HasSuffix(fields[2], "mergerfs") {
			continue
		}
		if mount.Unescape(fields[1]) == point {
			return mount.Unescape(fields[0])
		}
	}
	return ""
}
