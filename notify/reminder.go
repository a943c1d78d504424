package notify

import (
	"fmt"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// Bounds of what is shown of names from outside. xfce4-notifyd 0.9 shows one line of
// a summary, of about 28 characters, and six of a body, of about 35, and cuts off
// the rest. So the texts are short, and what matters most comes first.
const (
	maxName  = 40
	maxPath  = 50
	maxText  = 300
	maxLines = 3
)

// lockCommand is what to type where no buttons are shown.
const lockCommand = "To lock, run: immutectl lock"

// Reminder returns the notification that says that the system is unlocked, or only
// partly locked. The button that puts it off says for how long.
func Reminder(status helper.Status, now time.Time, snooze time.Duration, icon string) Notification {
	summary := "System unlocked"
	if status.State == helper.PartlyLocked {
		summary = "System partly locked"
	}
	lines := append(pathLines(status), windowLines(status, now)...)
	if status.ConfigError != "" {
		lines = append(lines, "The configuration is refused: "+text.Name(status.ConfigError, maxText))
	}
	return Notification{
		Summary: summary,
		Body:    strings.Join(lines, "\n"),
		Urgency: Critical,
		Icon:    icon,
		Actions: []Action{
			{ActionLock, "Lock now"},
			{ActionSnooze, "Remind me in " + text.SpokenDuration(snooze)},
		},
		Command: lockCommand,
		// A lock may fail: the reminder stays until the system is locked, and is
		// closed by us then.
		Resident: true,
	}
}

// pathLines says how each protected path is, unless all are unlocked: then the
// summary has said it. Locked ones are left out.
func pathLines(status helper.Status) []string {
	of := map[helper.State][]string{}
	var lines []string
	for _, p := range status.Paths {
		of[p.State] = append(of[p.State], text.Name(p.Path, maxPath))
	}
	if len(of[helper.Unlocked]) == len(status.Paths) {
		return nil
	}
	add := func(state helper.State, one, many string) {
		paths := of[state]
		if more := len(paths) - maxLines; more > 0 {
			paths = append(paths[:maxLines:maxLines], fmt.Sprintf("%d more", more))
		}
		switch len(paths) {
		case 0:
		case 1:
			lines = append(lines, fmt.Sprintf(one, paths[0]))
		default:
			lines = append(lines, fmt.Sprintf(many, text.List(paths)))
		}
	}
	add(helper.Unlocked, "%s is writable.", "%s are writable.")
	add(helper.OpenMount, "Programs with open files can still write to %s.", "Programs with open files can still write to %s.")
	add(helper.MountOnly, "%s is read-only, but one remount makes it writable.", "%s are read-only, but one remount makes each writable.")
	add(helper.Unknown, "The state of %s is unknown.", "The states of %s are unknown.")
	return lines
}

// windowLines says since when the system is open, by whom, why and until when.
//
// The time of day is given beside the duration because the text does not change while it
// is shown, and the duration does not stay true.
func windowLines(status helper.Status, now time.Time) []string {
	w := status.Window
	if w == nil {
		return []string{"There is no record of who unlocked it, or when."}
	}
	who, ago, at := person(w), text.Duration(now.Sub(w.Since)), text.TimeOfDay(w.Since, now)
	lines := []string{fmt.Sprintf("Unlocked for %s by %s, since %s.", ago, who, at)}
	if status.State != helper.Unlocked {
		lines[0] = fmt.Sprintf("Last unlocked by %s at %s, %s ago.", who, at, ago)
	}
	if w.Reason != "" {
		lines = append(lines, "Reason: "+text.Name(w.Reason, maxPath))
	}
	if w.Until != nil {
		until := text.TimeOfDay(*w.Until, now)
		if w.Until.After(now) {
			lines = append(lines, "It locks by itself at "+until+".")
		} else {
			lines = append(lines, "It should have locked by itself at "+until+".")
		}
	}
	return lines
}

func person(w *helper.Window) string {
	if w.User == "" {
		return fmt.Sprintf("user %d", w.UID)
	}
	return text.Name(w.User, maxName)
}
