// Package tray is the applet: a padlock in the desktop's tray that shows whether
// the operating system is locked, and asks for it to be locked or unlocked.
//
// What is shown depends on a [snapshot] of what is known and on nothing else (see
// [build]); [rows] is the table of the menu. One goroutine, that of the [controller],
// owns what is known. One file, host.go, knows the library that speaks to the tray
// (StatusNotifierItem, com.canonical.dbusmenu).
package tray

import (
	"time"

	"immutray.org/helper"
	"immutray.org/icons"
)

// A report is what is known of the system at one moment.
type report struct {
	Status helper.Status
	// NotReady says why this machine can't be locked as it is, in lines for people; none
	// when it can.
	NotReady []string
	// Frozen says what is read-only with a locked system and should not be, and what each
	// needs.
	Frozen []string
	// UnlockMax is how long an unlock may last; config.UntilLocked is without a limit.
	UnlockMax time.Duration
	// RelockOn is when the system is locked again besides the end of the window.
	RelockOn []helper.Occasion
}

// A snapshot is everything that is shown depends on.
type snapshot struct {
	Now    time.Time
	Report report
	Asked  helper.Verb // the request under way; "" when there is none
	obstacle
	Past *past // nil: not known, or not yet
	// Restarting is set while services are asked to be restarted.
	Restarting bool
	// RemindersOff is until when the person wants no reminder; zero when he does.
	RemindersOff time.Time
	Snooze       time.Duration
	Style        icons.Style
	// Faults are what in the person's settings is not used.
	Faults []string
}

// A model is what the tray shows.
type model struct {
	Icon    icons.Name
	Style   icons.Style
	Title   string // what a screen reader says
	Tooltip string
	Urgent  bool // the person should look
	Menu    []item
}

// A face is the state as it is shown: the system's, or that it is not ready.
type face string

const (
	locked       face = face(helper.Locked)
	unlocked     face = face(helper.Unlocked)
	partlyLocked face = face(helper.PartlyLocked)
	unknown      face = face(helper.Unknown)
	notReady     face = "not-ready"
)

// face returns what a report looks like.
//
// That a machine is not ready counts only where nothing was locked or unlocked: one that
// is locked was ready, and one that was unlocked by a request is to be called unlocked
// until it is locked again.
func (r report) face() face {
	state := r.Status.State
	if r.NotReady != nil && (state == helper.Unknown || state == "" || state == helper.Unlocked && r.Status.Window == nil) {
		return notReady
	}
	switch state {
	case helper.Locked, helper.Unlocked, helper.PartlyLocked:
		return face(state)
	}
	return unknown
}

// build returns what the tray shows.
func build(s snapshot) model {
	return model{Icon: icon(s), Style: s.Style, Title: headline(s), Tooltip: tooltip(s), Urgent: isUrgent(s), Menu: items(rows(), s)}
}

// isUrgent reports whether the system should be locked, and is not: the window is over, or a
// lock was blocked.
func isUrgent(s snapshot) bool {
	status := s.Report.Status
	_, _, blocked := s.blocked(status)
	return blocked || status.Overdue != nil || s.Report.face() != locked && isPast(status.Window, s.Now)
}

// isPast reports whether a window should have ended. The lock at its end may take a while.
func isPast(w *helper.Window, now time.Time) bool {
	return w != nil && w.Until != nil && now.Sub(*w.Until) >= time.Minute
}

func icon(s snapshot) icons.Name {
	if s.Asked != "" {
		return icons.Working
	}
	return iconFor(s.Report.face())
}

func iconFor(f face) icons.Name {
	switch f {
	case locked:
		return icons.Locked
	case unlocked:
		return icons.Unlocked
	case partlyLocked:
		return icons.PartlyLocked
	}
	return icons.Unknown
}
