package engine

import (
	"fmt"
	"slices"
	"strings"

	"immutray.org/helper/namespaces"
	"immutray.org/helper/protected"
)

// besides are writable mounts that show a protected subvolume, and whose mount flag Immutray
// must not set or cannot reach. The kernel counts the files that are open for writing by mount,
// so it does not count these. A search finds only what a process holds, and not a file that is
// being passed from one process to another (unix(7), SCM_RIGHTS).
type besides []besideMount

type besideMount struct {
	mountKey
	words string
}

// maxBeside bounds how many are remembered; the first few of them are named.
const maxBeside = 20

// add notes a mount. Its copies in other namespaces are left out: the machine's own mounts come
// first.
func (b *besides) add(n *namespaces.Namespace, m namespaces.Mount) {
	if n.Foreign {
		return // that of a user, who has no more rights in there
	}
	same := func(other besideMount) bool { return other.mountKey == keyOf(m) }
	if len(*b) < maxBeside && !slices.ContainsFunc(*b, same) {
		*b = append(*b, besideMount{keyOf(m), mountBeside{m.Point, n}.String()})
	}
}

// besideWords names them in the result of a lock of paths. The mount of another path above them
// is left out.
func (o *others) besideWords(paths []*protected.Path) string {
	if o == nil {
		return "" // the search has failed, which another notice says
	}
	all := slices.DeleteFunc(slices.Clone(o.beside), func(m besideMount) bool {
		return slices.ContainsFunc(paths, func(p *protected.Path) bool {
			own, err := p.Mount() // without it, one more mount is named
			return err == nil && own.Device == m.superblock && own.Root == m.root
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
