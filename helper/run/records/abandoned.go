package records

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/statedir"
	"immutray.org/helper/stopped"
)

// Replacement is how long a runner that lives may take to start another guardian.
const Replacement = 2 * time.Second

// Abandoned returns the commands that have no guardian any more, for root. It ends guardians
// that are stopped: a stopped guardian does not do its work, and a runner that lives starts
// another. A command whose runner lives is abandoned only after Replacement.
func Abandoned(stateDir string) []helper.Run {
	dir := statedir.Dir(stateDir).Runs().Path
	deadline := time.Now().Add(Replacement)
	ended := map[int]bool{} // these hold their records until the last of their threads is gone
	for {
		// Unreadable records are left to the next call.
		alive, dead, _ := list(dir)
		wait := false
		for _, e := range alive {
			ended[e.Holder] = ended[e.Holder] || stopped.End(e.Holder)
			wait = wait || ended[e.Holder]
		}
		over := time.Now().After(deadline)
		var found []helper.Run
		for _, e := range dead {
			if over || !lives(e.PID) {
				found = append(found, e.Run)
			} else {
				wait = true
			}
		}
		if over || !wait || len(found) > 0 {
			return found
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Clear removes the record of a command that has no guardian.
func Clear(stateDir, id string) {
	dir := statedir.Dir(stateDir)
	for _, folder := range []statedir.Folder{dir.Runs(), dir.Programs()} {
		path := filepath.Join(folder.Path, filepath.Base(id))
		if _, held, err := read(path); !held && err == nil {
			os.Remove(path)
		}
	}
}

// lives reports whether there is such a process. If it is another one by now, that only
// costs a little time.
func lives(pid int) bool {
	return pid > 0 && !errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}
