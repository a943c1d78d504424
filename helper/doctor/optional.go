package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"immutray.org/helper/distribution"
	"immutray.org/helper/islands"
)

// mediaDir is where Debian's udisks2 makes a directory for each disk that a person plugs
// in (configured with --enable-fhs-media; others use /run/media, which is writable).
const mediaDir = "/media"

// optional looks at the islands that a lock makes read-only all the same. One in which
// nothing is, nothing writes to.
func (g *gatherer) optional() {
	found, err := islands.FindOptional(g.Config, g.opened)
	if err != nil {
		g.unseen("optional-island", "the directories that should be writable: %v", err)
		return
	}
	for _, f := range found.Frozen {
		used := true
		switch {
		case f.Path == mediaDir:
			used = g.hasMedia()
		case f.Why == "":
			entries, err := os.ReadDir(f.Path)
			used = err != nil || len(entries) > 0
		}
		if used {
			g.Optional = append(g.Optional, f)
		}
	}
}

// hasMedia reports whether udisks2 is installed, and uses /media.
func (g *gatherer) hasMedia() bool {
	if !slices.Contains(distribution.At(g.Root), "debian") {
		return false
	}
	for _, dir := range []string{"usr/libexec", "usr/lib"} {
		if _, err := os.Stat(filepath.Join(g.Root, dir, "udisks2/udisksd")); err == nil {
			return true
		}
	}
	return false
}

func checkOptional(f Facts) []Finding {
	var found []Finding
	for _, o := range f.Optional {
		// What gives an island that must stay writable a place of its own takes this along.
		if slices.ContainsFunc(f.Frozen, func(p Place) bool { return o.Path == p.Name || strings.HasPrefix(o.Path, p.Name+"/") }) {
			continue
		}
		finding := Finding{
			Severity: Warning, Check: "optional-island",
			What: o.Path + " becomes read-only with the system",
			Why:  `programs may have to write there, perhaps only at night; name it in "allow_readonly" if it may be read-only`,
		}
		if o.Path == mediaDir {
			finding.Why = "udisks2 makes a directory there for each disk that is plugged in, and can mount none while the system is locked"
		}
		switch {
		case o.Why != "":
			finding.What += fmt.Sprintf(": it is %s", o.Why)
		case islands.IsPlain(o.Path):
			whyNot := ""
			if root := f.protectedPath("/"); root != nil {
				whyNot = f.fixed(root)
			}
			f.mendOr(&finding, whyNot, func() string { return "immutectl island " + o.Path })
		}
		found = append(found, finding)
	}
	return found
}
