package tray

import (
	"strconv"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
)

// An entryID names an entry of the menu. Those of a list have a number after their name:
// "path.0".
type entryID string

// A row of the table is an entry of the menu, a list of lines, or a separator.
//
// An entry without a request, an action and a submenu is there to be read: it is disabled.
type row struct {
	id        entryID
	separator bool
	label     func(snapshot) string // "" hides the entry
	disabled  func(snapshot) bool   // nil: never
	request   helper.Request        // asked of the helper by a click
	action    func(*controller)     // done by a click
	submenu   []row
	// lines are a list, to be read, and how many more there are than it names; most is how
	// many entries it may have.
	lines func(snapshot) (lines []string, more int)
	most  int
}

// Bounds of the menu: a host can't scroll it.
const (
	maxPaths   = 8
	maxWhy     = 6
	maxLines   = 12
	maxAgain   = 4
	maxPast    = 6
	labelWidth = 60 // runes of a line in the menu
)

// quarter and hour are the windows that the menu offers beside one without an end.
const (
	quarter = 15 * time.Minute
	hour    = time.Hour
)

// rows returns the menu, in its order: every entry that there can be.
//
// There is always something between two separators, or hosts would draw a gap.
func rows() []row {
	return []row{
		{id: "state", label: headline},
		{id: "why", lines: why, most: maxWhy},
		{id: "path", lines: pathLines, most: maxPaths},

		{id: "actions", separator: true},
		{id: "lock", label: when(isNotLocked, "Lock now"), disabled: isAsking, request: helper.Request{Verb: helper.Lock}},
		{id: "quarter", label: timedLabel(quarter), disabled: cannotUnlockFor(quarter), request: helper.Request{Verb: helper.Unlock, For: quarter}},
		{id: "hour", label: timedLabel(hour), disabled: cannotUnlockFor(hour), request: helper.Request{Verb: helper.Unlock, For: hour}},
		{id: "unlock", label: endlessLabel, disabled: cannotUnlockFor(config.UntilLocked), request: helper.Request{Verb: helper.Unlock, UntilLocked: true}},

		{id: "snooze", label: snoozeLabel, action: func(c *controller) { c.Reminders.Snooze() }},
		{id: "snoozed", label: snoozedLabel},
		{id: "remind", label: when(isSnoozed, "Turn reminders on again"), action: func(c *controller) { c.Reminders.SessionBegan() }},

		{id: "behind", label: behindLabel},
		{id: "restart", label: restartLabel, disabled: cannotRestart, action: (*controller).restart},
		{id: "again", lines: startAgain, most: maxAgain},

		{id: "awaited", label: awaitedLabel},
		{id: "unwait", label: when(isWaiting, "Don't lock when it's done"), action: (*controller).takeBack},
		{id: "busy", label: busyLabel},
		{id: "wait", label: when(isBusy, "Lock when it is done"), disabled: isAsking, action: (*controller).await},

		{id: "writers", label: when(hasWriters, "Who is writing…"), submenu: []row{{id: "writer", lines: writerLines, most: maxLines}}},
		{id: "force", label: when(isBlocked, "Lock anyway…"), disabled: isAsking, action: (*controller).askForce},
		{id: "sure", label: sureLabel, disabled: isAsking, action: func(c *controller) { c.lockForce(settle) }},
		{id: "unsure", label: when(isSure, "Don't lock"), action: (*controller).takeBack},
		{id: "failure", label: when(hasFailed, "What went wrong…"), submenu: []row{{id: "failed", lines: failureLines, most: maxLines}}},

		{id: "the-rest", separator: true},
		{id: "history", label: when(isRead, "History"), submenu: []row{{id: "past", lines: pastLines, most: maxPast}}},
		{id: "settings", label: faultsLabel, submenu: []row{{id: "fault", lines: faultLines, most: maxLines}}},
		{id: "about", label: always("About Immutray"), action: (*controller).about},
		{id: "quit", label: always("Quit"), action: func(c *controller) { c.Quit() }},
	}
}

func always(label string) func(snapshot) string {
	return func(snapshot) string { return label }
}

func when(is func(snapshot) bool, label string) func(snapshot) string {
	return func(s snapshot) string {
		if is(s) {
			return label
		}
		return ""
	}
}

func isAsking(s snapshot) bool    { return s.Asked != "" }
func isNotLocked(s snapshot) bool { return s.Report.face() != locked }

// An item is an entry of the menu as it is shown. Label is plain text.
type item struct {
	ID        entryID
	Label     string
	Disabled  bool
	Separator bool
	Children  []item
}

// items returns what rows show.
func items(rows []row, s snapshot) []item {
	var all []item
	for _, r := range rows {
		switch {
		case r.separator:
			all = append(all, item{ID: r.id, Separator: true})
		case r.lines != nil:
			all = append(all, r.list(s)...)
		default:
			if label := r.label(s); label != "" {
				all = append(all, item{ID: r.id, Label: label, Disabled: r.isDisabled(s), Children: items(r.submenu, s)})
			}
		}
	}
	return all
}

func (r row) isDisabled(s snapshot) bool {
	if r.action == nil && r.request.Verb == "" && r.submenu == nil {
		return true
	}
	return r.disabled != nil && r.disabled(s)
}

// list makes entries of lines; the last one counts what is left out.
func (r row) list(s snapshot) []item {
	lines, more := r.lines(s)
	if over := len(lines) - r.most; over > 0 || over == 0 && more > 0 {
		lines, more = lines[:r.most-1:r.most-1], more+over+1
	}
	if more > 0 {
		lines = append(lines[:len(lines):len(lines)], andMore(more))
	}
	list := make([]item, len(lines))
	for i, line := range lines {
		list[i] = item{ID: r.id.nth(i), Label: line, Disabled: true}
	}
	return list
}

func (id entryID) nth(i int) entryID { return id + entryID("."+strconv.Itoa(i)) }

// chosen is a click on an entry of the menu.
func (c *controller) chosen(id entryID) {
	switch r := find(rows(), id); {
	case r.request.Verb != "":
		c.request(r.request, settle)
	case r.action != nil:
		r.action(c)
	}
}

// find returns the row of an entry, the zero row when there is none.
func find(rows []row, id entryID) row {
	for _, r := range rows {
		if r.id == id {
			return r
		}
		if below := find(r.submenu, id); below.id == id {
			return below
		}
	}
	return row{}
}
