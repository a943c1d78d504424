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

// Abandoned returns the commands that nobody answers for any more, for root. It ends the
// processes that hold a record and are stopped: one can't do then what it is there for,
// and where the runner lives it starts another. A command whose runner lives is abandoned
// when Replacement is over.
func Abandoned(stateDir string) []helper.Run {
	dir := statedir.Dir(stateDir).Runs().Path
	deadline := time.Now().Add(Replacement)
	ended := map[int]bool{} // they hold their records until the last of their threads is gone
	for {
		// What can't be read is looked at the next time.
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

// Clear removes what a dead one has left of a command.
func Clear(stateDir, id string) {
	dir := statedir.Dir(stateDir)
	for _, folder := range []statedir.Folder{dir.Runs(), dir.Programs()} {
		path := filepath.Join(folder.Path, filepath.Base(id))
		if _, held, err := read(path); !held && err == nil {
			os.Remove(path)
		}
	}
}

// lives reports whether there is such a process. That it may be another by now costs a
// little time.
func lives(pid int) bool {
	return pid > 0 && !errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}
