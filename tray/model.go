// Package tray is the applet: a padlock in the desktop's tray that shows whether
// the operating system is locked, and asks for it to be locked or unlocked.
//
// What is shown is a pure function of what is known ([Build]). One goroutine, the
// [Controller], owns what is known. One file, host.go, knows the library that
// speaks to the tray (StatusNotifierItem, com.canonical.dbusmenu).
package tray

import (
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/text"
	"immutray.org/icons"
)

// A Report is what is known of the system at one moment.
type Report struct {
	Status helper.Status
	// Problem says why this machine can't be locked as it is; nil when it can.
	Problem *Problem
	// Frozen says what is read-only with a locked system and should not be, and what each
	// needs.
	Frozen []string
	// UnlockMax is how long an unlock may last; config.UntilLocked is without a limit.
	UnlockMax time.Duration
	// RelockOn is when the system is locked again besides the end of the window.
	RelockOn []helper.Occasion
}

// A Problem is why the system is not set up to be locked, in lines for people.
type Problem struct{ Lines []string }

// Trouble is a request that failed, and has not been made good since.
type Trouble struct {
	Verb    helper.Verb
	Err     error
	Hint    string
	Blocked bool
	Writers []helper.Writer
	// MoreWriters is how many others there are that are not listed.
	MoreWriters int
	// Busy is the package manager whose end can be waited for; nil when it is none.
	Busy *helper.Busy
	// Restart is set when it was services that could not be restarted; Verb is empty then.
	Restart bool
}

// A Snapshot is everything that the picture depends on.
type Snapshot struct {
	Now     time.Time
	Report  Report
	Asked   helper.Verb // the request under way; "" when there is none
	Trouble *Trouble
	Past    *Past // nil: not known, or not yet
	// Awaited is the package manager at whose end to lock; nil when none is.
	Awaited *helper.Busy
	// Sure is set while it is asked whether to lock although programs are writing.
	Sure bool
	// Restarting is set while services are asked to be restarted.
	Restarting bool
	// RemindersOff is until when the person wants no reminder; zero when he does.
	RemindersOff time.Time
	Snooze       time.Duration
}

// An ID names an entry of the menu.
type ID string

// The entries. Those of a list have a number after their name: "path.0".
const (
	IDState   ID = "state"
	IDWhy     ID = "why"  // a list
	IDPath    ID = "path" // a list
	IDLock    ID = "lock"
	IDUnlock  ID = "unlock" // until someone locks
	IDQuarter ID = "quarter"
	IDHour    ID = "hour"
	IDSnooze  ID = "snooze"
	IDSnoozed ID = "snoozed"
	IDRemind  ID = "remind"
	IDWriters ID = "writers" // with a submenu
	IDForce   ID = "force"   // asks once more
	IDSure    ID = "sure"
	IDUnsure  ID = "unsure"
	IDBusy    ID = "busy" // a package manager is at work
	IDWait    ID = "wait"
	IDAwaited ID = "awaited"
	IDUnwait  ID = "unwait"
	IDBehind  ID = "behind" // programs still see the system read-only
	IDRestart ID = "restart"
	IDAgain   ID = "again"   // a list
	IDTrouble ID = "trouble" // with a submenu
	IDHistory ID = "history" // with a submenu
	IDLine    ID = "line"    // a list, of every submenu
	IDAbout   ID = "about"
	IDQuit    ID = "quit"
	IDActions ID = "actions"  // the separator above what can be done
	IDTheRest ID = "the-rest" // the separator below
)

// Bounds of the menu: a host can't scroll it.
const (
	maxPaths   = 8
	maxWhy     = 6
	maxLines   = 12
	maxAgain   = 4
	labelWidth = 60 // runes of a line in the menu
)

// An Item is an entry of the menu. Label is plain text.
type Item struct {
	ID        ID
	Label     string
	Disabled  bool
	Separator bool
	Children  []Item
}

// A Model is what the tray shows.
type Model struct {
	Icon    icons.Name
	Tooltip string
	Menu    []Item
}

// A face is the state as it is shown: the system's, or that it is not set up.
type face string

const (
	locked       face = face(helper.Locked)
	unlocked     face = face(helper.Unlocked)
	partlyLocked face = face(helper.PartlyLocked)
	unknown      face = face(helper.Unknown)
	notSetUp     face = "not-set-up"
)

// face returns what a report looks like.
//
// A problem counts only where nobody has locked or unlocked anything: a system that
// is locked is set up, whatever else, and one that was unlocked by a request is to be
// called unlocked until it is locked again.
func (r Report) face() face {
	state := r.Status.State
	if r.Problem != nil && (state == helper.Unknown || state == "" || state == helper.Unlocked && r.Status.Window == nil) {
		return notSetUp
	}
	switch state {
	case helper.Locked, helper.Unlocked, helper.PartlyLocked:
		return face(state)
	}
	return unknown
}

// Build returns what the tray shows.
func Build(s Snapshot) Model {
	return Model{Icon: icon(s), Tooltip: tooltip(s), Menu: menu(s)}
}

func icon(s Snapshot) icons.Name {
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

func menu(s Snapshot) []Item {
	items := []Item{{ID: IDState, Label: headline(s), Disabled: true}}
	items = append(items, list(IDWhy, why(s.Report), maxWhy)...)
	items = append(items, list(IDPath, pathLines(s.Report.Status), maxPaths)...)
	items = append(items, Item{ID: IDActions, Separator: true})
	items = append(items, actions(s)...)
	items = append(items, Item{ID: IDTheRest, Separator: true})
	items = append(items, historyItems(s)...)
	return append(items,
		Item{ID: IDAbout, Label: "About Immutray"},
		Item{ID: IDQuit, Label: "Quit"},
	)
}

// actions is never empty: between two separators, hosts draw a gap for nothing.
func actions(s Snapshot) []Item {
	var items []Item
	busy := s.Asked != ""
	shown := s.Report.face()
	if shown != locked {
		items = append(items, Item{ID: IDLock, Label: "Lock now", Disabled: busy})
	}
	items = append(items, unlockItems(s)...)
	if shown == unlocked || shown == partlyLocked {
		items = append(items, reminderItems(s)...)
	}
	items = append(items, behindItems(s)...)
	items = append(items, packageManagerItems(s)...)
	items = append(items, writerItems(s)...)
	return append(items, troubleItems(s.Trouble)...)
}

// quarter and hour are the windows that the menu offers beside one without an end.
const (
	quarter = 15 * time.Minute
	hour    = time.Hour
)

// unlockItems open a window, or say of the one that is open when it is to end.
func unlockItems(s Snapshot) []Item {
	timed, endless := "Unlock for ", "Unlock until I lock it…"
	// A path that can't be read may hide that the others are locked, and the way to
	// mend it: both are offered then.
	if s.Report.Status.State == helper.Unlocked {
		if s.Report.face() != unlocked {
			return nil
		}
		timed, endless = "Lock in ", "Stay unlocked until I lock it…"
	}
	limit := config.Config{UnlockMax: s.Report.UnlockMax}
	item := func(id ID, label string, length time.Duration) Item {
		return Item{ID: id, Label: label, Disabled: s.Asked != "" || limit.Allows(length) != nil}
	}
	items := []Item{
		item(IDQuarter, timed+text.SpokenDuration(quarter)+"…", quarter),
		item(IDHour, timed+text.SpokenDuration(hour)+"…", hour),
	}
	if w := s.Report.Status.Window; s.Report.Status.State != helper.Unlocked || w != nil && w.Until != nil {
		items = append(items, item(IDUnlock, endless, config.UntilLocked))
	}
	return items
}

func reminderItems(s Snapshot) []Item {
	if s.RemindersOff.IsZero() {
		return []Item{{ID: IDSnooze, Label: "Remind me in " + text.SpokenDuration(s.Snooze)}}
	}
	return []Item{
		{ID: IDSnoozed, Label: remindersOff(s), Disabled: true},
		{ID: IDRemind, Label: "Turn reminders on again"},
	}
}

// troubleItems show what failed in the menu as well: a notification may have been
// missed, or there is no daemon to show it.
func troubleItems(t *Trouble) []Item {
	if t == nil || t.Busy != nil || t.Blocked && len(t.Writers) > 0 {
		return nil
	}
	lines := append(wrap(sentence(t.Err.Error())), wrap(t.Hint)...)
	return []Item{{ID: IDTrouble, Label: "What went wrong…", Children: list(IDLine, lines, maxLines)}}
}

// list makes disabled entries of lines: what is to be read, not to be chosen.
func list(id ID, lines []string, most int) []Item { return listed(id, lines, 0, most) }

// listed is list for lines of which there are more than are known.
func listed(id ID, lines []string, unlisted, most int) []Item {
	if over := len(lines) - most; over > 0 || over == 0 && unlisted > 0 {
		lines, unlisted = lines[:most-1:most-1], unlisted+over+1
	}
	if unlisted > 0 {
		lines = append(lines[:len(lines):len(lines)], andMore(unlisted))
	}
	items := make([]Item, len(lines))
	for i, line := range lines {
		items[i] = Item{ID: id.nth(i), Label: line, Disabled: true}
	}
	return items
}
