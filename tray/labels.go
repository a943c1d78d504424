package tray

import (
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/text"
)

// The labels of what opens a window or changes its end, and of the reminders.

// offersUnlock reports whether a window can be opened, or the end of the open one be
// changed. A path that can't be read may hide that the others are locked, and the way to
// mend it: both a lock and an unlock are offered then.
func offersUnlock(s snapshot) bool {
	return s.Report.Status.State != helper.Unlocked || s.Report.face() == unlocked
}

func timedLabel(length time.Duration) func(snapshot) string {
	return func(s snapshot) string {
		switch {
		case !offersUnlock(s):
			return ""
		case s.Report.Status.State == helper.Unlocked:
			return "Lock in " + text.SpokenDuration(length) + "…"
		}
		return "Unlock for " + text.SpokenDuration(length) + "…"
	}
}

func endlessLabel(s snapshot) string {
	w := s.Report.Status.Window
	switch {
	case !offersUnlock(s):
		return ""
	case s.Report.Status.State != helper.Unlocked:
		return "Unlock until I lock it…"
	case w != nil && w.Until != nil:
		return "Stay unlocked until I lock it…"
	}
	return "" // the window has no end already
}

func cannotUnlockFor(length time.Duration) func(snapshot) bool {
	return func(s snapshot) bool {
		limit := config.Config{UnlockMax: s.Report.UnlockMax}
		return isAsking(s) || limit.Allows(length) != nil
	}
}

// isReminded reports whether there is something to be reminded of.
func isReminded(s snapshot) bool {
	shown := s.Report.face()
	return shown == unlocked || shown == partlyLocked
}

func isSnoozed(s snapshot) bool { return isReminded(s) && !s.RemindersOff.IsZero() }

func snoozeLabel(s snapshot) string {
	if !isReminded(s) || isSnoozed(s) {
		return ""
	}
	return "Remind me in " + text.SpokenDuration(s.Snooze)
}

func snoozedLabel(s snapshot) string {
	if !isSnoozed(s) {
		return ""
	}
	return "Reminders off until " + text.TimeOfDay(s.RemindersOff, s.Now)
}
