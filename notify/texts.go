package notify

import (
	"fmt"
	"strings"
	"time"

	"immutray.org/helper"
)

// feedbackTime is how long feedback is shown: long enough to read three words.
const feedbackTime = 5 * time.Second

// Feedback returns the notification that answers a request that was done: what the
// system is now. It is for [SlotFeedback].
func Feedback(status helper.Status, now time.Time, icon string) Notification {
	n := Notification{
		Summary:   "Unknown",
		Urgency:   Normal,
		Icon:      icon,
		Expire:    feedbackTime,
		Transient: true,
	}
	switch status.State {
	case helper.Locked:
		n.Summary = "Locked"
		n.Body = "The operating system is read-only."
	case helper.PartlyLocked:
		n.Summary = "Partly locked"
		n.Body = strings.Join(pathLines(status), "\n")
	case helper.Unlocked:
		n.Summary = "Unlocked"
		if status.Window != nil && status.Window.Until != nil {
			n.Summary = "Unlocked until " + TimeOfDay(*status.Window.Until, now)
		}
		n.Body = "The operating system can be changed."
		if lines := pathLines(status); lines != nil {
			n.Body = strings.Join(lines, "\n")
		}
	default:
		n.Body = "The state of the operating system cannot be read."
	}
	return n
}

// Ending returns the notification that announces when the system locks by itself. It is
// for [SlotEnding].
func Ending(until, now time.Time, icon string) Notification {
	left := max(time.Minute, until.Sub(now).Round(time.Minute))
	return Notification{
		Summary: "Locks in " + spokenDuration(left),
		Body:    "The operating system becomes read-only again at " + TimeOfDay(until, now) + ".",
		Urgency: Normal,
		Icon:    icon,
		Actions: []Action{{ActionExtend, fmt.Sprintf("%d more minutes", Extension/time.Minute)}},
		Command: fmt.Sprintf("For more time, run: immutectl unlock --for %dm", (left+Extension)/time.Minute),
	}
}

// Blocked returns the notification for a lock that failed because files are open
// for writing. It is for [SlotProblem].
func Blocked(writers []helper.Writer, icon string) Notification {
	n := Notification{
		Summary: "Not locked: files in use",
		Body:    "It cannot be seen which program holds them. Close programs, then lock again.",
		Urgency: Critical,
		Icon:    icon,
	}
	if lines := writerLines(writers); len(lines) > 0 {
		n.Body = strings.Join(append([]string{"Close these, then lock again:"}, lines...), "\n")
	}
	return n
}

// writerLines says who writes where: a line for each process, device or swap file,
// the first few, and how many more there are.
func writerLines(writers []helper.Writer) []string {
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
	for i, l := range lines {
		if i == maxLines && len(lines) > maxLines+1 {
			texts = append(texts, fmt.Sprintf("and %d more", len(lines)-i))
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
	return texts
}

func writerText(w helper.Writer) string {
	path := Visible(w.Path, maxPath)
	switch w.Kind {
	case helper.WriterLoop:
		return Visible(w.Device, maxName) + " is backed by " + path
	case helper.WriterSwap:
		return "Swap file " + path
	}
	who := Visible(w.Program, maxName)
	if who == "" {
		who = fmt.Sprintf("Process %d", w.PID)
	}
	if w.Unit != "" && w.Unit != w.Program+".service" {
		who += " (" + Visible(w.Unit, maxName) + ")"
	}
	return who + " is writing to " + path
}

// RequestFailed returns the notification for a request that was not done, with what
// the person can do about it, if that is known. It is for [SlotProblem].
func RequestFailed(verb helper.Verb, err error, hint, icon string) Notification {
	n := Notification{
		Summary: "Request failed",
		Body:    sentence(Visible(err.Error(), maxText)),
		Urgency: Normal,
		Icon:    icon,
	}
	switch verb {
	case helper.Lock:
		n.Summary = "Locking failed"
	case helper.Unlock:
		n.Summary = "Unlocking failed"
	}
	if hint != "" {
		// Without a full stop of ours: a hint may end in a command.
		n.Body += "\n" + capital(Visible(hint, maxText))
	}
	return n
}
