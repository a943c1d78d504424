package helper

import (
	"errors"
	"path/filepath"
	"slices"
	"time"
)

const (
	// RunCommand is the verb of "immutectl run" in results and in the journal. It is not a
	// verb of the helper: pkexec can't ask for it.
	RunCommand Verb = "run"
	// MaxCommand is the length of recorded command lines, in characters.
	MaxCommand = 500
)

// A Run is a command of root's that alone may write to the protected paths or, with
// SystemWide, during which the system is unlocked.
type Run struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
	UID   uint32    `json:"uid"`
	User  string    `json:"user"`
	// Reason is why, in the person's words; see [CleanReason]. It may be empty.
	Reason  string   `json:"reason"`
	Command []string `json:"command"`
	// PID is the process of immutectl that waits for the command.
	PID        int  `json:"pid"`
	SystemWide bool `json:"system_wide"`
	// EvenSo allows mounts through which other programs can write meanwhile.
	EvenSo bool `json:"even_so,omitempty"`
	// Namespace is the id of the command's mount namespace, namespaces(7); 0 until it has
	// one.
	Namespace uint64 `json:"namespace,omitempty"`
	// IgnoreConfig runs it although the configuration is refused; see [Request].
	IgnoreConfig bool `json:"ignore_config,omitempty"`
}

// Program returns the name of the command's program.
func (r Run) Program() string {
	if len(r.Command) == 0 {
		return "unknown" // its record can't be read
	}
	return filepath.Base(r.Command[0])
}

// Named returns what everyone may know of the command: its command line, which may hold a
// password, is the program's name alone.
func (r Run) Named() Run {
	r.Command = []string{r.Program()}
	return r
}

// SetRuns sets the commands that run, and the state of the system with them: a path that
// only a command can write to counts as locked. Commands that have lost their write access
// by a lock by force are left out.
func (s *Status) SetRuns(runs []Run) {
	granted := slices.ContainsFunc(s.Paths, func(p PathStatus) bool { return p.Property == Writable })
	s.Runs = slices.DeleteFunc(slices.Clone(runs), func(r Run) bool { return !r.SystemWide && !granted })
	paths := slices.Clone(s.Paths)
	for i, p := range paths {
		if s.Granted(p) {
			paths[i].State = Locked
		}
	}
	s.State = OverallState(paths)
}

// Granted reports whether only commands of "immutectl run" can write to a path of s: its
// property is cleared for them, its mount flag is set.
func (s *Status) Granted(p PathStatus) bool {
	return p.Property == Writable && p.Mount == ReadOnly &&
		slices.ContainsFunc(s.Runs, func(r Run) bool { return !r.SystemWide })
}

var (
	// ErrGoingOff says that the computer is about to be switched off, or to sleep.
	ErrGoingOff = errors.New("the computer is about to be switched off, or to sleep")
	// ErrRootOnly says that a command of immutectl was not started by root.
	ErrRootOnly = errors.New("must run as root")
	// ErrNoGuardian says that the guardian of a command can't be started, or was killed.
	ErrNoGuardian = errors.New("the process that locks again afterwards is gone")
)
