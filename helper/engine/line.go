package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"immutray.org/helper/boottime"
	"immutray.org/helper/statedir"
	"immutray.org/helper/stopped"
)

// A line is the folder in which requests wait for their turn: first come, first served,
// and before all others a lock by force, which an administrator has asked for. Each has a
// held file there, whose name sorts as they are served.
type line struct{ statedir.Folder }

const (
	urgent    = "0"
	ordinary  = "1"
	lineEvery = 20 * time.Millisecond
)

func lineOf(stateDir string) line { return line{statedir.Dir(stateDir).Turns()} }

// enter goes to the end of those of its rank. Closing the file gives up the position.
func (l line) enter(rank string) (*os.File, error) {
	for i := 0; ; i++ {
		// That clock can't be set; the last number distinguishes requests of one moment.
		f, err := l.Hold(fmt.Sprintf("%s.%020d.%d.%d", rank, boottime.Now(), os.Getpid(), i), nil)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// leave gives up the position that enter has returned.
func (l line) leave(f *os.File) {
	os.Remove(f.Name())
	f.Close()
}

// first returns the name of the first that waits, "" if none does. What dead processes left
// is removed.
func (l line) first() string {
	entries, _ := os.ReadDir(l.Path) // sorted; what can't be read keeps no request waiting
	for _, e := range entries {
		path := filepath.Join(l.Path, e.Name())
		f, held, err := statedir.Open(path)
		if err == nil {
			f.Close()
		}
		switch {
		case held, err != nil && !errors.Is(err, fs.ErrNotExist):
			return e.Name()
		case err == nil:
			os.Remove(path)
		}
	}
	return ""
}

// untilForced returns a context that also ends when a lock by force waits for its turn: a
// lock that waits for writers then stops waiting. It has to be cancelled.
func (l line) untilForced(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancel(ctx)
	go func() {
		for sleep(ctx, 100*time.Millisecond) {
			if first := l.first(); len(first) > 0 && first[:1] == urgent {
				end()
			}
		}
	}()
	return ctx, end
}

// stoppedEvery is how often a process that waits for its turn checks whether the one that
// has it is stopped.
const stoppedEvery = time.Second

// endStopped ends the process that has the turn, and the first in line, if they are stopped:
// whatever step they were in, the next request completes the work.
func (l line) endStopped(turn *statedir.Lock) {
	if pid := turn.Holder(); pid != 0 {
		stopped.End(pid)
	}
	// The name says whose file it is (line.enter).
	if words := strings.Split(l.first(), "."); len(words) == 4 {
		if pid, err := strconv.Atoi(words[2]); err == nil && pid != os.Getpid() {
			stopped.End(pid)
		}
	}
}
