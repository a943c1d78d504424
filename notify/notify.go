// Package notify reminds the person at the computer that the operating system is not
// locked, and says how a request went. It decides when to remind and in which words, and
// has the client of the desktop's notification daemon.
//
// The daemon is reached as org.freedesktop.Notifications, Desktop Notifications
// Specification 1.2, the version that every daemon in use reports:
// https://specifications.freedesktop.org/notification-spec/1.2/
//
// A notification is a courtesy. A daemon may be missing, hang, forget what it
// shows or show no buttons, so nothing here is relied on for locking.
package notify

import "time"

// AppName is the name that notifications are sent under.
const AppName = "Immutray"

// desktopEntry is the id of the installed immutray.desktop, by which a daemon
// finds the person's settings for this application.
const desktopEntry = "immutray"

// The slots. A slot shows one notification at a time: what is posted to it
// replaces what it showed.
const (
	SlotReminder = "reminder" // belongs to [Reminders]
	SlotEnding   = "ending"   // belongs to [Reminders] too
	SlotFeedback = "feedback" // how a request went
	SlotObstacle = "obstacle" // what keeps the system from being locked
)

// The keys of the actions: the reminder's, and that of the announcement of an end.
const (
	ActionLock   = "lock"
	ActionSnooze = "snooze"
	ActionExtend = "extend"
)

// The keys of the actions of what keeps the system from being locked.
const (
	ActionRetry  = "retry"
	ActionForce  = "force" // asks once more
	ActionSure   = "sure"  // answers that
	ActionWait   = "wait"  // for a package manager
	ActionCancel = "cancel"
)

// An Urgency says how a notification is to be shown.
type Urgency byte

// The urgencies in use, with their values on the bus.
const (
	Normal   Urgency = 1
	Critical Urgency = 2 // stays until it is acted on, and passes do-not-disturb
)

// A Notification is what is shown in a slot. Its texts are plain: a daemon that
// reads markup is sent them escaped.
type Notification struct {
	Summary string
	Body    string
	Urgency Urgency
	// Icon is a name from the icon theme or the absolute path of an image.
	Icon string
	// Actions are the buttons. Not every daemon shows them.
	Actions []Action
	// Command is a last line for the body where no buttons are shown: what to
	// type instead of pressing one.
	Command string
	// Expire is how long to show it; 0 leaves that to the daemon. A critical
	// notification never expires.
	Expire time.Duration
	// Transient keeps it out of the daemon's history.
	Transient bool
	// Resident keeps it shown after one of its actions was chosen.
	Resident bool
	// Silent replaces what is shown without a sound.
	Silent bool
}

// An Action is a button: a key to know it by, and what it says.
type Action struct{ Key, Label string }
