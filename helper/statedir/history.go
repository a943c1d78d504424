package statedir

import (
	"path/filepath"
	"strconv"
)

// History is the folder of the last windows. A user may read the file for everyone and his own,
// and write to none: each belongs to root.
type History struct{ Folder }

// All is for root.
func (h History) All() string { return filepath.Join(h.Path, "all") }

// Everyone is for everyone.
func (h History) Everyone() string { return filepath.Join(h.Path, "everyone") }

// Of is for one user.
func (h History) Of(uid uint32) string {
	return filepath.Join(h.Path, strconv.FormatUint(uint64(uid), 10))
}

// Lock is held by the process that writes the others. Only root can open it: who can open a
// file can hold a flock(2) on it.
func (h History) Lock() string { return filepath.Join(h.Path, "lock") }
