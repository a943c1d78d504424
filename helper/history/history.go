// Package history lists past windows: when, by whom, why, how long, and how they ended. It reads
// the records of root's helper in systemd's journal (package journal has the fields). For a user
// who may not read that, and where there is none, it reads those of the last windows that root
// has kept (package recent).
//
// If the machine crashed or lost its power, a window has no record of its end. The journal has
// the boot of every record, so a later boot shows that the window is over. This file and
// boots.go draw the conclusions, the other files read.
package history

import (
	"math"
	"time"

	"immutray.org/helper"
)

// An End says how a window ended. Where it was a lock it is the [helper.Cause] of that,
// and there may be more causes than are named here.
type End string

// The ends of a window.
const (
	Open     End = ""         // it has not ended
	Person   End = "person"   // a person locked
	Timer    End = "timer"    // its time was over
	Sleep    End = "sleep"    // the machine was about to sleep
	Logout   End = "logout"   // the last person had logged out
	Seal     End = "seal"     // the machine was shut down, and sealed at the next boot
	Shutdown End = "shutdown" // the machine was shut down, and not sealed at the next boot
	Crash    End = "crash"    // the machine crashed or lost its power
	Unseen   End = "unseen"   // the system was locked, and the journal does not say how
	Command  End = "run"      // the command of the run has ended
)

// A Window is a time in which the system was not locked, or in which a command of
// "immutectl run" had write access.
type Window struct {
	// The window as it was last known: since when, until when it was to last, who and why.
	helper.Window
	End End
	// Ended is when. It is zero when the window is open, and when that is not known;
	// after a crash it is the last that the journal has of that boot.
	Ended time.Time
	// Lasted is how long the window was open; zero where Ended is. If the records allow it, it
	// is by a clock that can't be set.
	Lasted time.Duration
	// LockedBy is the user who locked, when a lock has ended it.
	LockedBy string
	// Command is the command of "immutectl run" as the journal has it, "" for a window in which
	// every program could write.
	Command string
	// Sealed says that the next boot locked what was still open.
	Sealed bool

	began record // the first record of it
}

// A moment is when something was, by every clock there is.
type moment struct {
	wall      time.Time
	monotonic time.Duration // stands still while the machine sleeps
	sinceBoot time.Duration // 0 if it was not recorded
}

// to returns the time from m until then, in the same boot. If the clock that counts sleep and
// can't be set was not recorded, it is the longer one by the other two: one may have been set
// back, the other does not count sleep.
func (m moment) to(then moment) time.Duration {
	if m.sinceBoot > 0 && then.sinceBoot > 0 {
		return max(0, then.sinceBoot-m.sinceBoot)
	}
	return max(0, then.monotonic-m.monotonic, then.wall.Sub(m.wall))
}

// newWindow returns a window whose first record is r. If r is not of its beginning, the records
// before it have left the journal.
func newWindow(r record) *Window {
	w := &Window{began: r}
	if r.window != nil {
		w.Window = *r.window
	} else { // an intent has the person who asked
		w.Window = helper.Window{Since: r.wall.UTC(), UID: r.uid, User: r.user, Reason: r.reason}
		w.Command = r.command
	}
	return w
}

// close ends the window at a moment of the boot in which its first record is.
func (w *Window) close(at moment, end End) {
	w.End, w.Ended = end, at.wall
	w.Lasted = w.began.to(at)
	// The clock may have been set back since, and a record of the year 1 would be too long for a
	// Duration.
	if earlier := max(0, w.began.wall.Sub(w.Since)); earlier < math.MaxInt64-w.Lasted {
		w.Lasted += earlier
	}
}
