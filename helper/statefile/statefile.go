// Package statefile is the content of the state file: the window and the last result, which
// the helper leaves for other programs to show. Whether the system is locked is always read
// from the kernel.
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

// room is reserved in the file for a state that has to be written when the file system is
// full: most are smaller.
const room = 64 << 10

// A State is the content of the state file.
type State struct {
	Window *helper.Window `json:"window"`
	// Deadline is when the window ends; nil when it has no end. It outlives a window
	// that ended in a failure half-way.
	Deadline *Deadline `json:"deadline"`
	// Opened is the configuration with which something was made writable that is not locked
	// again yet; nil if there is nothing. Whatever the configuration file says meanwhile,
	// these are the paths to lock.
	Opened *config.Config `json:"opened,omitempty"`
	// Overdue says why the system is not locked although the deadline is over.
	Overdue *helper.Overdue `json:"overdue,omitempty"`
	// StillReadOnly are the programs that an unlock has not reached.
	StillReadOnly []helper.Bystander `json:"still_read_only,omitempty"`
	Last          *helper.Result     `json:"last"`
	// Seal is how the seal of this boot ended; nil when there was none.
	Seal *Seal `json:"seal"`
}

// A Seal is what stays recorded of a seal when other requests have followed it.
type Seal struct {
	Outcome  helper.Outcome `json:"outcome"`
	Finished time.Time      `json:"finished"`
}

// A Deadline is the end of a window on a clock that can't be set.
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

// StillOpen returns the paths that were made writable and are to be locked again, whether or
// not the configuration still names them.
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
		// The window has to be known; everything else is in the journal.
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
	case len(data) > maxSize: // Read would refuse it
		return fmt.Errorf("it would be larger than %d bytes", maxSize)
	}
	path := statedir.Dir(dir).State()
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		// No file can replace it, and its contents must not be removed.
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
