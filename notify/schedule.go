package notify

import (
	"time"

	"immutray.org/helper"
)

// Settings say when to remind.
type Settings struct {
	First  time.Duration // after login or unlock
	Every  time.Duration // after that
	Snooze time.Duration // how long "Remind me in …" is
}

// DefaultSettings returns the settings of a person who has set nothing.
func DefaultSettings() Settings {
	return Settings{First: 5 * time.Minute, Every: 15 * time.Minute, Snooze: time.Hour}
}

// orDefault returns the settings with a sense: without the time between two
// reminders there would be no end of them.
func (s Settings) orDefault() Settings {
	d := DefaultSettings()
	if s == (Settings{}) {
		return d
	}
	if s.Every <= 0 {
		s.Every = d.Every
	}
	if s.Snooze <= 0 {
		s.Snooze = d.Snooze
	}
	return s
}

const (
	// retryAfter is how long to wait before a daemon that failed is asked again.
	retryAfter = time.Minute
	// buttonTimeout is how long a lock that the reminder's button asked for may take
	// before the reminder comes back: it may wait for writers, and for a password.
	buttonTimeout = 30 * time.Second
	// lockTimeout is how long a lock that has no answer yet holds reminders back. One
	// that waits for a password may never get one.
	lockTimeout = 5 * time.Minute
	// refreshGap is how long the text of a shown reminder stays although it is no
	// longer true. A lock goes path by path and waits for writers: the states in
	// between are not worth showing. Nor does a script that flips states make the
	// screen flicker.
	refreshGap = 10 * time.Second
)

// A step is what is to be done now.
type step int

const (
	wait    step = iota
	remind       // post the reminder
	refresh      // give the reminder that is shown its new text
	unshow       // close the reminder
)

// A delivery says how a post ended.
type delivery int

const (
	delivered   delivery = iota // a daemon shows it
	passing                     // something showed it that can't be asked to close it
	noDaemon                    // there is no daemon to show it
	undelivered                 // a daemon is there, but failed
)

// visible says whether a reminder is on the screen.
type visible int

const (
	hidden visible = iota // no, and that is right
	shown                 // yes
	missed                // no, but it should be
)

// A schedule decides when to remind. It is pure: no clock, no bus, no goroutine;
// its owner passes in the time, and carries out what step says.
type schedule struct {
	settings Settings
	state    helper.State // the last that update was given
	known    helper.State // the last but Unknown; "" before the first
	since    time.Time    // Window.Since of the window, if known
	began    time.Time    // when the session began
	started  time.Time    // when the window's schedule began
	last     time.Time    // when the last reminder of the window was posted; zero before the first
	next     time.Time    // when the next reminder is due, while open
	snoozed  time.Time    // when the snooze ends; zero when not snoozed
	visible  visible
	stale    bool      // what is shown is no longer true, or to be closed
	untrue   time.Time // since when the text that is shown is no longer true
	locking  time.Time // until when to leave everything to a lock that is under way
}

func isOpen(s helper.State) bool { return s == helper.Unlocked || s == helper.PartlyLocked }

// begin says that the session begins now. A window that is open, however long,
// starts from the beginning: a reminder right after the login would only annoy.
func (s *schedule) begin(now time.Time) {
	s.began = now
	if isOpen(s.known) {
		s.start(now)
	}
}

// use replaces the settings. The next reminder is due as if they had been so since the last one;
// a snooze lasts as long as was said when it began.
func (s *schedule) use(settings Settings) {
	if settings == s.settings {
		return
	}
	s.settings = settings
	if !isOpen(s.known) || !s.snoozed.IsZero() {
		return
	}
	s.next = s.last.Add(settings.Every)
	if s.last.IsZero() {
		s.next = s.started.Add(settings.First)
	}
}

// start starts a window's schedule.
func (s *schedule) start(at time.Time) {
	s.started, s.last = at, time.Time{}
	s.next = at.Add(s.settings.First)
	s.snoozed = time.Time{}
	s.drop()
}

// drop makes a reminder that is or should be shown one that is to be closed.
func (s *schedule) drop() {
	if s.visible != hidden {
		s.stale = true
	}
	s.visible = hidden
}

// update says what state the system is in now, and since when its window is open
// (zero when that is not known).
//
// Unknown changes nothing. It is no proof of a lock, so the reminder that is shown
// stays, and the time runs on; and it is no proof of the contrary, so nothing new
// is posted that says so. What falls due meanwhile is posted once the state can be
// read again. The tray shows the question mark.
func (s *schedule) update(now time.Time, state helper.State, since time.Time) {
	s.state = state
	if state == helper.Unknown {
		return
	}
	before := s.known
	s.known = state
	switch {
	case !isOpen(state):
		s.since, s.snoozed = time.Time{}, time.Time{}
		s.drop()
		return
	case before == "":
		// Open since before this session: the five minutes count from its start,
		// not from the moment at which the state could be read.
		s.start(s.began)
	case !isOpen(before):
		s.start(now)
	case !since.IsZero() && !s.since.IsZero() && !since.Equal(s.since):
		// Locked and unlocked again, faster than anyone looked.
		s.start(now)
	}
	// An unlock clears the flags first and records its window after that, so a
	// window that appears later is the same one.
	if !since.IsZero() {
		s.since = since
	}
}

// snooze says that the person wants to be left alone for a while.
func (s *schedule) snooze(now time.Time) {
	if !isOpen(s.known) {
		return
	}
	s.snoozed = now.Add(s.settings.Snooze)
	s.next = s.snoozed
	s.drop()
}

// snoozedUntil returns when the snooze ends.
func (s *schedule) snoozedUntil(now time.Time) (time.Time, bool) {
	return s.snoozed, s.snoozed.After(now)
}

// lockAsked says that the reminder's button was pressed. Many daemons close a
// notification whose button was pressed; unless the system is locked soon, the
// reminder comes back.
func (s *schedule) lockAsked(now time.Time) {
	if !isOpen(s.known) {
		return
	}
	if back := now.Add(buttonTimeout); back.Before(s.next) {
		s.next = back
	}
}

// lockBegan says that a lock was asked for, in whatever way: the states on its way
// are not worth showing, and the end of it closes the reminder.
func (s *schedule) lockBegan(now time.Time) { s.locking = now.Add(lockTimeout) }

// lockEnded says that the lock has its answer.
func (s *schedule) lockEnded() { s.locking = time.Time{} }

// dismissed says that the reminder was closed, and not by us. That is the person's
// right: the next one comes when it is due.
func (s *schedule) dismissed() {
	s.visible = hidden
	s.stale = false
}

// lost says that the daemon is gone, and what it showed with it.
func (s *schedule) lost() {
	if s.visible == shown {
		s.visible = missed
	}
}

// daemonReady says that there is a daemon to be asked again.
func (s *schedule) daemonReady(now time.Time) {
	if s.visible == missed {
		s.next = now
	}
}

// textIs says whether the text of the reminder, if that is shown, is true now.
func (s *schedule) textIs(now time.Time, current bool) {
	if s.visible != shown {
		return
	}
	if !s.stale {
		s.untrue = now
	}
	s.stale = !current
}

// step returns what is to be done at now. The caller does it and says how it
// ended: with done for remind and refresh, with unshown for unshow.
func (s *schedule) step(now time.Time) step {
	switch {
	case s.visible == hidden && s.stale:
		return unshow
	case !isOpen(s.state), now.Before(s.locking):
		return wait
	case !now.Before(s.next):
		return remind
	case s.visible == shown && s.stale && !now.Before(s.untrue.Add(refreshGap)):
		return refresh
	}
	return wait
}

// wake returns when step is to be asked again if nothing happens before; false
// when that is never.
func (s *schedule) wake() (time.Time, bool) {
	if !isOpen(s.state) {
		return time.Time{}, false
	}
	at := s.next
	if s.visible == shown && s.stale {
		if text := s.untrue.Add(refreshGap); text.Before(at) {
			at = text
		}
	}
	if at.Before(s.locking) {
		at = s.locking
	}
	return at, true
}

// done says how the post that step asked for ended. The next reminder counts from
// now, not from when this one was due: after a night's sleep there is one reminder,
// and then one every 15 minutes.
func (s *schedule) done(now time.Time, what step, how delivery) {
	s.stale = false
	s.visible = missed
	if how == delivered {
		s.visible = shown
	}
	if what == remind {
		s.snoozed = time.Time{}
		s.last = now
		s.next = now.Add(s.settings.Every)
	}
	if retry := now.Add(retryAfter); how == undelivered && retry.Before(s.next) {
		s.next = retry
	}
}

// unshown says that the reminder was closed, or that trying is over.
func (s *schedule) unshown() { s.stale = false }
