package notify

import (
	"fmt"
	"strings"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// The notifications of this file are for [SlotObstacle]: they say what keeps the system
// from being locked, and replace each other.

// unseen is what is said of writers that could not be found.
const unseen = "Immutray cannot tell which program has them open."

// Blocked returns the notification for a lock that failed because files are open
// for writing.
func Blocked(writers []helper.Writer, unlisted int, icon string) Notification {
	n := blocked("Not locked: files in use", icon)
	n.Body = withWriters("Close these, then lock again:", unseen+" Close programs, then lock again.", writers, unlisted)
	return n
}

// Overdue returns the notification for the lock at the end of a window that could not be
// done yet.
func Overdue(o helper.Overdue, icon string) Notification {
	switch {
	case o.Outcome == helper.Blocked:
		n := blocked("Not locked yet: files open", icon)
		n.Body = withWriters("The system locks when these are closed:", unseen+" The system locks when they are closed.", o.Writers, o.MoreWriters)
		return n
	case o.Busy != nil:
		// There is nothing that the person should do.
		return Notification{
			Summary: installing(*o.Busy),
			Body:    "The time is over. The system locks when this is done.",
			Urgency: Normal,
			Icon:    icon,
		}
	}
	return Notification{
		Summary: "Not locked yet",
		Body:    text.Sentence(text.Name(o.Error, maxText)) + "\nImmutray keeps trying.",
		Urgency: Critical,
		Icon:    icon,
		Actions: []Action{{ActionRetry, "Try again"}},
		Command: lockCommand,
	}
}

// Frozen returns the notification for directories that are read-only with the system and
// should not be, from lines that say what each needs.
func Frozen(lines []string, icon string) Notification {
	body := make([]string, len(lines))
	for i, line := range lines {
		// A path is no beginning of a sentence, and may end in a command.
		body[i] = text.Name(line, maxText)
	}
	return Notification{
		Summary: "Some directories are read-only",
		Body:    strings.Join(body, "\n"),
		Urgency: Normal,
		Icon:    icon,
	}
}

func blocked(summary, icon string) Notification {
	return Notification{
		Summary: summary,
		Urgency: Critical,
		Icon:    icon,
		Actions: []Action{{ActionRetry, "Try again"}, {ActionForce, "Lock anyway…"}},
		Command: lockCommand,
	}
}

// LockAnyway returns the question whether to lock although programs are writing.
func LockAnyway(writers []helper.Writer, unlisted int, icon string) Notification {
	return Notification{
		Summary: "Lock anyway?",
		Body: withWriters("These may crash or lose unsaved data:",
			"Unknown programs may crash or lose unsaved data.", writers, unlisted),
		Urgency: Critical,
		Icon:    icon,
		Actions: []Action{{ActionSure, "Lock anyway"}, {ActionCancel, "Don't lock"}},
		Command: "To lock anyway, run: immutectl lock --force",
	}
}

// Installing returns the notification for a lock that failed because a package manager, or
// a command of "immutectl run", is running.
func Installing(h helper.Busy, icon string) Notification {
	half := "packages half installed"
	if h.Kind() == helper.BusyRun {
		half = "its work half done"
	}
	return Notification{
		Summary: installing(h),
		Body:    "Locking now would leave " + half + ".",
		Urgency: Normal,
		Icon:    icon,
		Actions: []Action{{ActionWait, "Lock when it is done"}},
		Command: "To lock when it is done, run: immutectl lock --wait 1h",
	}
}

// LocksWhenDone returns the notification that a lock waits for a package manager.
func LocksWhenDone(h helper.Busy, icon string) Notification {
	return Notification{
		Summary: "Locks when " + BusyName(h) + " is done",
		Urgency: Normal,
		Icon:    icon,
		Actions: []Action{{ActionCancel, "Don't lock when it's done"}},
	}
}

func installing(h helper.Busy) string { return BusyName(h) + " " + h.Doing() }

// BusyName is what a package manager or run is called: its program's name where that
// is known.
func BusyName(h helper.Busy) string { return text.Name(h.Name(), maxName) }

// withWriters lists the writers below the line begin; without any, it returns withoutAny.
func withWriters(begin, withoutAny string, writers []helper.Writer, unlisted int) string {
	lines := writerLines(writers, unlisted)
	if len(lines) == 0 {
		return withoutAny
	}
	return strings.Join(append([]string{begin}, lines...), "\n")
}

// writerLines says who writes where: a line for each process, device or swap file,
// the first few, and how many more there are. unlisted are writers of which nothing else
// is known.
func writerLines(writers []helper.Writer, unlisted int) []string {
	type line struct {
		text  string
		files int
	}
	var lines []*line
	process := map[int]*line{}
	for _, w := range writers {
		if l := process[w.PID]; l != nil && w.PID != 0 {
			l.files++
			continue
		}
		l := &line{text: writerText(w), files: 1}
		lines = append(lines, l)
		process[w.PID] = l
	}
	var texts []string
	more := unlisted
	for i, l := range lines {
		if i == maxLines && len(lines)+min(unlisted, 1) > maxLines+1 {
			more += len(lines) - i
			break
		}
		switch l.files {
		case 1:
		case 2:
			l.text += " and 1 more file"
		default:
			l.text += fmt.Sprintf(" and %d more files", l.files-1)
		}
		texts = append(texts, l.text)
	}
	if more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return texts
}

func writerText(w helper.Writer) string {
	path := text.Name(w.Path, maxPath)
	switch w.Kind {
	case helper.WriterLoop:
		return text.Name(w.Device, maxName) + " is backed by " + path
	case helper.WriterSwap:
		return "Swap file " + path
	}
	who := text.Name(w.Program, maxName)
	if who == "" {
		who = fmt.Sprintf("Process %d", w.PID)
	}
	if w.Unit != "" && w.Unit != w.Program+".service" {
		who += " (" + text.Name(w.Unit, maxName) + ")"
	}
	if w.Kind == helper.WriterUnknown {
		return fmt.Sprintf("%s, process %d of %s, cannot be inspected and may be writing", who, w.PID, text.Name(w.User, maxName))
	}
	return who + " is writing to " + path
}
