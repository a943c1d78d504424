package tray

import (
	"fmt"

	"immutray.org/helper"
	"immutray.org/helper/text"
	"immutray.org/notify"
)

// What keeps the system from being locked, as the menu and a notification show it.

// blocked returns who is in the way of a lock that was blocked: the last one that was
// asked for here, or that at the end of the window. The writers may be unknown, or too many
// to be listed.
func (s Snapshot) blocked() (writers []helper.Writer, unlisted int, is bool) {
	if s.Trouble != nil && s.Trouble.Blocked {
		return s.Trouble.Writers, s.Trouble.MoreWriters, true
	}
	if o := s.Report.Status.Overdue; o != nil && o.Outcome == helper.Blocked {
		return o.Writers, o.MoreWriters, true
	}
	return nil, 0, false
}

// writerItems show who is writing, and lead to a lock all the same.
func writerItems(s Snapshot) []Item {
	writers, unlisted, blocked := s.blocked()
	if !blocked {
		return nil
	}
	var items []Item
	if len(writers) > 0 {
		items = append(items, Item{ID: IDWriters, Label: "Who is writing…", Children: listed(IDLine, writerLines(writers), unlisted, maxLines)})
	}
	if !s.Sure {
		return append(items, Item{ID: IDForce, Label: "Lock anyway…", Disabled: s.Asked != ""})
	}
	return append(items,
		Item{ID: IDSure, Label: "Lock anyway: " + atRisk(writers, unlisted) + " may crash or lose data…", Disabled: s.Asked != ""},
		Item{ID: IDUnsure, Label: "Do not lock anyway"},
	)
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

// packageManagerItems say that one is at work, and offer to lock when it is done.
func packageManagerItems(s Snapshot) []Item {
	switch {
	case s.Awaited != nil:
		return []Item{
			{ID: IDAwaited, Label: "Locks when " + notify.BusyName(*s.Awaited) + " is done", Disabled: true},
			{ID: IDUnwait, Label: "Don't lock when it's done"},
		}
	case s.Trouble != nil && s.Trouble.Busy != nil:
		return []Item{
			{ID: IDBusy, Label: notify.BusyName(*s.Trouble.Busy) + " " + s.Trouble.Busy.Doing(), Disabled: true},
			{ID: IDWait, Label: "Lock when it is done", Disabled: s.Asked != ""},
		}
	}
	return nil
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

// problem returns the notification of what keeps the system from being locked, why else a
// request was not done, or what a lock has made read-only that it should not; nil when
// there is nothing.
func problem(s Snapshot) *notify.Notification {
	icon := string(iconFor(s.Report.face()))
	var n notify.Notification
	switch t, o := s.Trouble, s.Report.Status.Overdue; {
	case s.Asked != "":
		return nil
	case s.Sure:
		writers, unlisted, _ := s.blocked()
		n = notify.LockAnyway(writers, unlisted, icon)
	case s.Awaited != nil:
		n = notify.LocksWhenDone(*s.Awaited, icon)
	case t != nil && t.Busy != nil:
		n = notify.Installing(*t.Busy, icon)
	case t != nil && t.Blocked:
		n = notify.Blocked(t.Writers, t.MoreWriters, icon)
	case t != nil && t.Restart:
		n = notify.RequestFailed(t.Verb, t.Err, t.Hint, icon)
		n.Summary = "Restarting failed"
	case t != nil:
		n = notify.RequestFailed(t.Verb, t.Err, t.Hint, icon)
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
// still open: so it is after a lock by force, and whoever wanted that knows.
func closedToNewWrites(status helper.Status) bool {
	for _, p := range status.Paths {
		if p.State != helper.Locked && p.State != helper.OpenMount {
			return false
		}
	}
	return len(status.Paths) > 0
}
