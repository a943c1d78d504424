package helper

import "cmp"

// A Busy is a process that a lock must not disturb.
type Busy struct {
	Manager string `json:"manager"` // dpkg, dnf, zypp, rpm, pacman, or [RunManager]
	Lock    string `json:"lock"`    // the package manager's lock file
	PID     int    `json:"pid"`     // 0 when the kernel does not say
	Program string `json:"program"` // "" when PID is 0 or the process is gone
}

// RunManager is the manager of a [Busy] that is a command of "immutectl run": a lock would
// end its write access.
const RunManager = "immutectl run"

// A BusyKind is what a process does that a lock must not disturb.
type BusyKind int

// The kinds.
const (
	BusyPackages BusyKind = iota // a package manager has its lock
	BusyRun                      // a command of "immutectl run" has write access
)

// Kind returns what the process does.
func (b Busy) Kind() BusyKind {
	if b.Manager == RunManager {
		return BusyRun
	}
	return BusyPackages
}

// Name returns what a person knows the process by. It is not made safe to show.
func (b Busy) Name() string { return cmp.Or(b.Program, b.Manager) }

// Doing says what the process does, after its name.
func (b Busy) Doing() string {
	if b.Kind() == BusyRun {
		return "is running with write access"
	}
	return "is installing packages"
}
