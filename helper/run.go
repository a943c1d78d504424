package helper

import (
	"errors"
	"time"
)

// RunCommand is the verb of "immutectl run" in results and in the journal. It is none of
// the helper's: nobody can ask for it through pkexec.
const RunCommand Verb = "run"

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
}

var (
	// ErrRootOnly says that "immutectl run" was not started by root.
	ErrRootOnly = errors.New("only root can")
	// ErrNoGuardian says that the process that locks after a command can't be started, or
	// was killed.
	ErrNoGuardian = errors.New("the process that locks again afterwards is gone")
)
