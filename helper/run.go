package helper

import (
	"errors"
	"path/filepath"
	"slices"
	"time"
)

const (
	// RunCommand is the verb of "immutectl run" in results and in the journal. It is none
	// of the helper's: nobody can ask for it through pkexec.
	RunCommand Verb = "run"
	// MaxCommand is how long a command line is where it is recorded, in characters.
	MaxCommand = 500
)

// A Run is a command of root's that may write to the protected paths while nobody else
// may, or, with SystemWide, for whose time the system is unlocked.
type Run struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
	UID   uint32    `json:"uid"`
	User  string    `json:"user"`
	// Reason is why, in the words of who asks; see [CleanReason]. It may be empty.
	Reason  string   `json:"reason"`
	Command []string `json:"command"`
	// PID is the process of immutectl that waits for the command.
	PID        int  `json:"pid"`
	SystemWide bool `json:"system_wide"`
	// EvenSo puts up with mounts through which others can write meanwhile.
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

// SetRuns notes the commands that are at work, and what state the system is in with
// them: what is lent to a command is locked for everything else, and counts as that. Of a
// command that nothing is lent to any more, because a lock by force has ended that, there
// is nothing to tell.
func (s *Status) SetRuns(runs []Run) {
	lent := slices.ContainsFunc(s.Paths, func(p PathStatus) bool { return p.Property == Writable })
	s.Runs = slices.DeleteFunc(slices.Clone(runs), func(r Run) bool { return !r.SystemWide && !lent })
	paths := slices.Clone(s.Paths)
	for i, p := range paths {
		if s.Granted(p) {
			paths[i].State = Locked
		}
	}
	s.State = OverallState(paths)
}

// Granted reports whether a path of s is read-only for all but the commands of "immutectl
// run" at work: its property is cleared for them, its mount flag is set.
func (s *Status) Granted(p PathStatus) bool {
	return p.Property == Writable && p.Mount == ReadOnly &&
		slices.ContainsFunc(s.Runs, func(r Run) bool { return !r.SystemWide })
}

var (
	// ErrGoingOff says that the computer is about to be switched off, or to sleep.
	ErrGoingOff = errors.New("the computer is about to be switched off, or to sleep")
	// ErrRootOnly says that "immutectl run" was not started by root.
	ErrRootOnly = errors.New("only root can")
	// ErrNoGuardian says that the process that locks after a command can't be started, or
	// was killed.
	ErrNoGuardian = errors.New("the process that locks again afterwards is gone")
)
