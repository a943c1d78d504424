// Package history tells of the windows that were: when, who, why, how long, and how
// they ended. It reads what root's helper wrote to systemd's journal (package journal
// has the fields), and needs only the right to read that.
//
// A window that nothing closed, because the machine crashed or lost its power, has left
// no record of its end: it is known by the boot that the journal says the records are
// of. What follows from the records is in this file and in boots.go; the others read.
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
	Person   End = "person"   // somebody locked
	Timer    End = "timer"    // its time was over
	Sleep    End = "sleep"    // the machine was about to sleep
	Logout   End = "logout"   // nobody was logged in any more
	Seal     End = "seal"     // the machine was shut down, and sealed at the next boot
	Shutdown End = "shutdown" // the machine was shut down, and not sealed at the next boot
	Crash    End = "crash"    // the machine crashed or lost its power
	Unseen   End = "unseen"   // the system was locked, and the journal does not say how
	Command  End = "run"      // the command that alone could write has ended
)

// A Window is a time in which the system was not locked, or in which a command of
// "immutectl run" alone could write.
type Window struct {
	// The window as it was last known: since when, until when it was to last, who and why.
	helper.Window
	End End
	// Ended is when. It is zero when the window is open, and when that is not known;
	// after a crash it is the last that the journal has of that boot.
	Ended time.Time
	// Lasted is how long the window was open, by a clock that nobody can set where the
	// records allow that; zero where Ended is.
	Lasted time.Duration
	// LockedBy is the user who locked, when a lock has ended it.
	LockedBy string
	// Command is what alone could write, as the journal has it; ""
	// when the system was not locked for anyone.
	Command string
	// Sealed says that the next boot locked what was still open.
	Sealed bool

	began record // the first record of it
}

// A moment is when something was, by every clock there is.
type moment struct {
	wall      time.Time
	monotonic time.Duration // stands still while the machine sleeps
	sinceBoot time.Duration // 0 where it was not recorded
}

// to returns how long it was from m until then, in the same boot. Without the clock that
// counts sleep and can't be set it is the longer by the other two: a clock that was set
// back is wrong, and so is one that slept.
func (m moment) to(then moment) time.Duration {
	if m.sinceBoot > 0 && then.sinceBoot > 0 {
		return max(0, then.sinceBoot-m.sinceBoot)
	}
	return max(0, then.monotonic-m.monotonic, then.wall.Sub(m.wall))
}

// newWindow is a window whose first record is r. If that is not of its beginning, what
// came before has left the journal.
func newWindow(r record) *Window {
	w := &Window{began: r}
	if r.window != nil {
		w.Window = *r.window
	} else { // an intent: who asked
		w.Window = helper.Window{Since: r.wall.UTC(), UID: r.uid, User: r.user, Reason: r.reason}
		w.Command = r.command
	}
	return w
}

// close ends the window at a moment of the boot in which its first record is.
func (w *Window) close(at moment, end End) {
	w.End, w.Ended = end, at.wall
	w.Lasted = w.began.to(at)
	// A clock that was set back since must not make it negative, nor a record of the year
	// 1 too long for a Duration.
	if earlier := max(0, w.began.wall.Sub(w.Since)); earlier < math.MaxInt64-w.Lasted {
		w.Lasted += earlier
	}
}
