package engine

import (
	"fmt"
	"slices"
	"strings"

	"immutray.org/helper/mount"
	"immutray.org/helper/namespaces"
	"immutray.org/helper/protected"
)

// besides are writable mounts that show a protected subvolume and whose mount flag is none
// of ours to set, or out of reach. The kernel counts who has a file open for writing by
// mount. So there it does not say that nobody has, and a search finds only what a process
// holds: not a file that is on its way from one to another (unix(7), SCM_RIGHTS).
type besides []besideMount

type besideMount struct {
	place
	words string
}

// maxBeside bounds how many are remembered; of all of them the first few are named.
const maxBeside = 20

// add notes a mount. The copies of it in other namespaces are no news: the machine's own
// come first.
func (b *besides) add(n *namespaces.Namespace, m namespaces.Mount) {
	if n.Foreign {
		return // a user's, where nobody has more rights than he
	}
	same := func(other besideMount) bool { return other.place == placeOf(m) }
	if len(*b) < maxBeside && !slices.ContainsFunc(*b, same) {
		*b = append(*b, besideMount{placeOf(m), mountBeside{m.Point, n}.String()})
	}
}

// besideWords tells of them with a lock of paths. The mounts of another path that lies above
// are that one's own affair.
func (o *others) besideWords(paths []*protected.Path) string {
	if o == nil {
		return "" // it could not be looked for them, which is said
	}
	mounts, _ := mount.List() // without, one more is named
	all := slices.DeleteFunc(slices.Clone(o.beside), func(m besideMount) bool {
		return slices.ContainsFunc(paths, func(p *protected.Path) bool {
			own, ok := mount.ByID(mounts, p.MountID)
			return ok && own.Device == m.superblock && own.Root == m.root
		})
	})
	if len(all) == 0 {
		return ""
	}
	const few = 3
	var places []string
	for i, m := range all {
		if i == few {
			places = append(places, fmt.Sprintf("%d more", len(all)-i))
			break
		}
		places = append(places, m.words)
	}
	return fmt.Sprintf("the system is also mounted at %s, writable: a file that is open for writing there may have been overlooked", strings.Join(places, ", "))
}
