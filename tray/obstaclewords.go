package tray

import (
	"fmt"

	"immutray.org/helper"
	"immutray.org/helper/text"
	"immutray.org/notify"
)

// What keeps the system from being locked, in the menu and in a notification.

func isBlocked(s snapshot) bool {
	_, _, blocked := s.blocked(s.Report.Status)
	return blocked && !s.Sure
}

func hasWriters(s snapshot) bool {
	writers, _, _ := s.blocked(s.Report.Status)
	return len(writers) > 0
}

func writerLines(s snapshot) ([]string, int) {
	writers, unlisted, _ := s.blocked(s.Report.Status)
	lines := make([]string, len(writers))
	for i, w := range writers {
		lines[i] = writerLine(w)
	}
	return lines, unlisted
}

func isSure(s snapshot) bool { return s.Sure && sureLabel(s) != "" }

func sureLabel(s snapshot) string {
	writers, unlisted, blocked := s.blocked(s.Report.Status)
	if !blocked || !s.Sure {
		return ""
	}
	return "Lock anyway: " + atRisk(writers, unlisted) + " may crash or lose data…"
}

// atRisk names who would be hit by a lock by force.
func atRisk(writers []helper.Writer, unlisted int) string {
	var names []string
	seen := map[string]bool{}
	for _, w := range writers {
		if name := writerName(w); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return "programs"
	case unlisted > 0:
		return names[0] + " and others"
	case len(names) == 1:
		return names[0]
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

func isWaiting(s snapshot) bool { return s.Awaited != nil }

func awaitedLabel(s snapshot) string {
	if !isWaiting(s) {
		return ""
	}
	return "Locks when " + notify.BusyName(*s.Awaited) + " is done"
}

func isBusy(s snapshot) bool { return !isWaiting(s) && s.Failure != nil && s.Failure.Busy != nil }

func busyLabel(s snapshot) string {
	if !isBusy(s) {
		return ""
	}
	return notify.BusyName(*s.Failure.Busy) + " " + s.Failure.Busy.Doing()
}

// hasFailed reports whether the menu shows what failed: a notification may have been
// missed, or there is no daemon to show it. What keeps the system from being locked has
// entries of its own.
func hasFailed(s snapshot) bool {
	f := s.Failure
	return f != nil && f.Busy == nil && !(f.Blocked && len(f.Writers) > 0)
}

func failureLines(s snapshot) ([]string, int) {
	return append(wrap(sentence(s.Failure.Err.Error())), wrap(s.Failure.Hint)...), 0
}

// waitsFor says what the lock at the end of a window waits for.
func waitsFor(o helper.Overdue) string {
	switch {
	case o.Busy != nil:
		return "waits for " + notify.BusyName(*o.Busy) + ", which " + o.Busy.Doing()
	case o.Outcome != helper.Blocked:
		return o.Error
	case len(o.Writers) == 0:
		return "waits for an unknown program"
	}
	w := o.Writers[0]
	words := fmt.Sprintf("waits for %s, which is writing to %s", writerName(w), text.Name(w.Path, labelWidth))
	switch w.Kind {
	case helper.WriterLoop, helper.WriterSwap:
		words = "waits for " + writerLine(w)
	case helper.WriterUnknown:
		words = fmt.Sprintf("waits for %s (%d), which cannot be inspected", writerName(w), w.PID)
	}
	if more := len(o.Writers) - 1 + o.MoreWriters; more > 0 {
		words += fmt.Sprintf(" (%s)", andMore(more))
	}
	return words
}

// obstacleNote returns the notification of what keeps the system from being locked, why
// else a request was not done, or what a lock has made read-only that it should not; nil
// when there is nothing.
func obstacleNote(s snapshot) *notify.Notification {
	icon := string(iconFor(s.Report.face()))
	var n notify.Notification
	switch f, o := s.Failure, s.Report.Status.Overdue; {
	case s.Asked != "":
		return nil
	case s.Sure:
		writers, unlisted, _ := s.blocked(s.Report.Status)
		n = notify.LockAnyway(writers, unlisted, icon)
	case s.Awaited != nil:
		n = notify.LocksWhenDone(*s.Awaited, icon)
	case f != nil && f.Busy != nil:
		n = notify.Installing(*f.Busy, icon)
	case f != nil && f.Blocked:
		n = notify.Blocked(f.Writers, f.MoreWriters, icon)
	case f != nil:
		n = notify.RequestFailed(f.Verb, f.Err, f.Hint, icon)
		if f.Restart {
			n.Summary = "Restarting failed"
		}
	case o != nil && !closedToNewWrites(s.Report.Status):
		n = notify.Overdue(*o, icon)
	case s.Report.face() == locked && len(s.Report.Frozen) > 0:
		n = notify.Frozen(s.Report.Frozen, icon)
	default:
		return nil
	}
	return &n
}

// closedToNewWrites reports whether all that is missing to a lock are files that are
// still open: so it is after a lock by force, and the person who forced it knows.
func closedToNewWrites(status helper.Status) bool {
	for _, p := range status.Paths {
		if p.State != helper.Locked && p.State != helper.OpenMount {
			return false
		}
	}
	return len(status.Paths) > 0
}
