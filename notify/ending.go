package notify

import (
	"time"

	"immutray.org/helper"
)

// Extension is how much longer a window gets by the button of [Ending].
const Extension = 15 * time.Minute

// announceAhead is how long before its end a window is announced to end. A window that
// is no longer than that needs no announcement: the person who opened it has just seen that.
const announceAhead = 5 * time.Minute

// An ending decides when to announce the end of a window. It is pure, like a schedule.
type ending struct {
	until time.Time // the time of day of the end; zero when there is none to announce
	next  time.Time // when to announce it; zero when that is done
	end   time.Time // when the announcement is no longer true
	shown bool
}

// An endingStep is what is to be done now.
type endingStep int

const (
	endingWait endingStep = iota
	endingAnnounce
	endingWithdraw
)

// update says what state the system is in now, and what time of day it is. As with a
// schedule, Unknown changes nothing.
func (e *ending) update(now, wall time.Time, status helper.Status) {
	if status.State == helper.Unknown {
		return
	}
	var until time.Time
	if w := status.Window; isOpen(status.State) && w != nil && w.Until != nil && w.Until.Sub(w.Since) > announceAhead {
		until = *w.Until
	}
	if until.Equal(e.until) {
		return
	}
	// What is shown is of another end, so it is no longer true now.
	*e = ending{until: until, shown: e.shown, end: now}
	if left := until.Sub(wall); !until.IsZero() && left > 0 {
		e.next = now.Add(left - announceAhead)
	}
}

// step returns what is to be done at now, and takes it for done: to announce it too late
// or twice would be worse than not at all.
func (e *ending) step(now time.Time, wall time.Time) endingStep {
	switch {
	case !e.next.IsZero() && !now.Before(e.next):
		left := e.until.Sub(wall)
		e.next = time.Time{}
		if left > 0 {
			e.shown, e.end = true, now.Add(left)
			return endingAnnounce
		}
	case e.shown && !now.Before(e.end):
		e.shown = false
		return endingWithdraw
	}
	return endingWait
}

// wake returns when step is to be asked again if nothing happens before; false when that
// is never.
func (e *ending) wake() (time.Time, bool) {
	switch {
	case e.shown && !e.next.IsZero() && e.next.Before(e.end):
		return e.next, true
	case e.shown:
		return e.end, true
	}
	return e.next, !e.next.IsZero()
}

// dismissed says that the announcement was closed, and not by us.
func (e *ending) dismissed() { e.shown = false }
