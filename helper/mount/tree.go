package mount

import "strings"

// A Tree answers from a mount table alone which mounts a path leads through, so that
// no file system is asked that may never answer.
type Tree struct {
	// Mounts is the table.
	Mounts []Info

	on map[spot]int // in Mounts
}

// A spot is a mount point on one mount. Several mounts may have the same path, those
// that are hidden below others for instance.
type spot struct {
	parent uint64
	point  string
}

// NewTree returns the tree of a mount table.
func NewTree(mounts []Info) *Tree {
	t := &Tree{Mounts: mounts, on: make(map[spot]int, len(mounts))}
	known := make(map[uint64]bool, len(mounts))
	for _, m := range mounts {
		known[m.ID] = true
	}
	for i, m := range mounts {
		parent := m.Parent
		if !known[parent] || parent == m.ID {
			parent = 0 // the root: what it is mounted on is out of sight (proc_pid_mountinfo(5))
		}
		t.on[spot{parent, m.Point}] = i
	}
	return t
}

// Over returns the mounts that an absolute path leads through, the outermost first: the
// last is the one it is on. The path must have no links in it, nor ".." and the like.
func (t *Tree) Over(path string) []Info {
	var over []Info
	at := uint64(0)
	for _, prefix := range prefixes(path) {
		for {
			i, ok := t.on[spot{at, prefix}]
			if !ok {
				break
			}
			over = append(over, t.Mounts[i])
			at = t.Mounts[i].ID
		}
	}
	return over
}

// Shows reports whether a mount is seen at its mount point, and not hidden by another.
func (t *Tree) Shows(m Info) bool {
	over := t.Over(m.Point)
	return len(over) > 0 && over[len(over)-1].ID == m.ID
}

// prefixes returns "/", "/a" and "/a/b" for "/a/b".
func prefixes(path string) []string {
	all := []string{"/"}
	for i := 1; i < len(path); i++ {
		if next := strings.IndexByte(path[i:], '/'); next >= 0 {
			i += next
		} else {
			i = len(path)
		}
		all = append(all, path[:i])
	}
	return all
}
