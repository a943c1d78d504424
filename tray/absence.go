package tray

import (
	"time"

	"immutray.org/icons"
	"immutray.org/notify"
)

// noTrayTimeout is how long there may be no tray before a notification says so: at login
// the applet is often there before the panel.
const noTrayTimeout = 30 * time.Second

// An absence is the time without a tray that shows the padlock. A notification says so, once.
type absence struct {
	since time.Time // zero while there is a tray
	said  bool
}

// changed says whether there is a tray.
func (a *absence) changed(now time.Time, present bool) {
	a.since = time.Time{}
	if !present {
		a.since = now
	}
}

// wait returns how long to wait until that is to be said; false when that is never.
func (a *absence) wait(now time.Time) (time.Duration, bool) {
	return noTrayTimeout - now.Sub(a.since), !a.said && !a.since.IsZero()
}

// isDue reports whether to say so now, and takes it for done.
func (a *absence) isDue(now time.Time) bool {
	left, waiting := a.wait(now)
	if !waiting || left > 0 {
		return false
	}
	a.said = true
	return true
}

// sayNoTray says that there is no tray to show the padlock in.
func (c *controller) sayNoTray() {
	c.Log.Warn("no tray of this desktop shows the padlock; only reminders are shown")
	c.post(notify.SlotFeedback, notify.Notification{
		Summary: "No tray for the padlock",
		Body: "This desktop has no tray that can show it. You still get reminders. " +
			"On GNOME, switch on the extension AppIndicator. To lock without it, run: immutectl lock",
		Urgency: notify.Normal,
		Icon:    string(icons.Application),
	})
}
