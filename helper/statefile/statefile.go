// Package statefile reads and writes what the helper leaves behind for others to
// show: the window, and the last result. It is a hint for display. Whether the
// system is locked is always read from the kernel.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/statedir"
	"immutray.org/helper/text"
	"immutray.org/helper/wholefile"
)

// maxSize keeps a damaged or hostile file from filling memory. A state with all that a
// result may hold (bound.Result) is a fraction of it.
const maxSize = 1 << 20

// room is what the file keeps for a state that has to be written when there is none left:
// most are smaller.
const room = 64 << 10

// A State is the content of the state file.
type State struct {
	Window *helper.Window `json:"window"`
	// Deadline is when the window ends; nil when it has no end. It outlives a window
	// that ended in a failure half-way.
	Deadline *Deadline `json:"deadline"`
	// Opened is the configuration by which something was made writable that is not locked
	// again yet; nil when there is nothing. Whatever the file says meanwhile, this is to be
	// locked.
	Opened *config.Config `json:"opened,omitempty"`
	// Overdue says why the system is not locked although the deadline is over.
	Overdue *helper.Overdue `json:"overdue,omitempty"`
	// StillReadOnly are the programs that an unlock has not reached.
	StillReadOnly []helper.Bystander `json:"still_read_only,omitempty"`
	Last          *helper.Result     `json:"last"`
	// Seal is how the seal of this boot ended; nil when there was none.
	Seal *Seal `json:"seal"`
}

// A Seal is what remains to be told of a seal when other requests have followed it.
type Seal struct {
	Outcome  helper.Outcome `json:"outcome"`
	Finished time.Time      `json:"finished"`
}

// A Deadline is the end of a window on a clock that nobody can set.
type Deadline struct {
	// ID names the timer that locks then: the id of the request that set it.
	ID string `json:"id"`
	// SinceBoot is the time of CLOCK_BOOTTIME, which counts the machine's sleep.
	SinceBoot time.Duration `json:"since_boot"` // in nanoseconds
}

// Read returns the state in dir. A missing file is the empty State.
func Read(dir string) (State, error) {
	path := statedir.Dir(dir).State()
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("cannot read the state file: %w", err)
	}
	defer f.Close()
	s, err := Parse(f)
	if err != nil {
		return State{}, fmt.Errorf("cannot read the state file %s: %w", path, err)
	}
	return s, nil
}

// Parse reads one state.
func Parse(r io.Reader) (State, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return State{}, err
	}
	if len(data) > maxSize {
		return State{}, fmt.Errorf("it is larger than %d bytes", maxSize)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, err
	}
	if s.Opened != nil {
		if err := s.Opened.Check(); err != nil {
			return State{}, fmt.Errorf("what was opened: %w", err)
		}
	}
	return s, nil
}

// StillOpen returns the paths that were made writable and are to be locked again, whether
// the configuration still names them or not.
func (s State) StillOpen() []string {
	if s.Opened == nil {
		return nil
	}
	return s.Opened.Paths
}

// Write replaces the state in dir atomically. The file is readable by everyone.
func Write(dir string, s State) error {
	if err := write(dir, s); err != nil {
		return fmt.Errorf("cannot write the state file: %w", text.Because(err))
	}
	return nil
}

func write(dir string, s State) error {
	data, err := encode(s)
	if err == nil && len(data) > maxSize {
		// The window is what has to be known; what else there was is in the journal.
		if s.Last != nil {
			s.Last = &helper.Result{Request: s.Last.Request, Outcome: s.Last.Outcome, Started: s.Last.Started, Finished: s.Last.Finished}
			s.Last.Error = "its details are too long to be kept"
		}
		if s.Overdue != nil {
			s.Overdue = &helper.Overdue{Outcome: s.Overdue.Outcome, Error: "cannot lock: the reason is too long to be kept"}
		}
		data, err = encode(s)
	}
	switch {
	case err != nil:
		return err
	case len(data) > maxSize: // nobody would read it
		return fmt.Errorf("it would be larger than %d bytes", maxSize)
	}
	path := statedir.Dir(dir).State()
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		// No file can take its place. What is in it is nobody's to remove.
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, time.Now().UnixNano())); err != nil {
			return err
		}
	}
	return wholefile.WriteWithRoom(path, data, room)
}

func encode(s State) ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}
