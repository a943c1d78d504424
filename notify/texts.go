package notify

import (
	"fmt"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/text"
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
			n.Summary = "Unlocked until " + text.TimeOfDay(*status.Window.Until, now)
		}
		n.Body = "The operating system can be changed."
		if lines := pathLines(status); lines != nil {
			n.Body = strings.Join(lines, "\n")
		}
	default:
		n.Body = "Immutray cannot read the state of the operating system."
	}
	return n
}

// Ending returns the notification that announces when the system locks by itself. It is
// for [SlotEnding].
func Ending(until, now time.Time, icon string) Notification {
	left := max(time.Minute, until.Sub(now).Round(time.Minute))
	return Notification{
		Summary: "Locks in " + text.SpokenDuration(left),
		Body:    "The operating system becomes read-only again at " + text.TimeOfDay(until, now) + ".",
		Urgency: Normal,
		Icon:    icon,
		Actions: []Action{{ActionExtend, fmt.Sprintf("%d more minutes", Extension/time.Minute)}},
		Command: fmt.Sprintf("For more time, run: immutectl unlock --for %dm", (left+Extension)/time.Minute),
	}
}

// RequestFailed returns the notification for a request that was not done, with what
// the person can do about it, if that is known. It is for [SlotObstacle].
func RequestFailed(verb helper.Verb, err error, hint, icon string) Notification {
	n := Notification{
		Summary: "Request failed",
		Body:    text.Sentence(text.Name(err.Error(), maxText)),
		Urgency: Normal,
		Icon:    icon,
	}
	switch verb {
	case helper.Lock, helper.LockForce:
		n.Summary = "Locking failed"
	case helper.Unlock:
		n.Summary = "Unlocking failed"
	}
	if hint != "" {
		// Without a full stop of ours: a hint may end in a command.
		n.Body += "\n" + text.Capital(text.Name(hint, maxText))
	}
	return n
}
