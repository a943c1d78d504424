package recent

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"immutray.org/helper"
	"immutray.org/helper/journal"
)

// maxWindows is how many windows are kept.
const maxWindows = 10

// reasonBy is the user who gave the reason of a record's window; missing if that is not known.
// It is in the file for root alone.
const reasonBy = "WINDOW_REASON_BY"

// A window is what is kept of one: the positions of its first record and its last so far, which
// say all that the history shows.
type window struct {
	id          string
	first, last int
	ended       bool
}

// lastWindows returns the records of the last windows, in their order. The others are left out,
// those of requests that opened and ended nothing above all: anyone at the desk may lock again
// and again, and would push out what others have done.
func lastWindows(all []record) []record {
	k := keeper{all: all, begun: -1}
	for i, r := range all {
		k.add(i, r)
	}
	kept := map[int]bool{k.begun: true}
	for _, w := range k.windows[max(0, len(k.windows)-maxWindows):] {
		kept[w.first], kept[w.last] = true, true
	}
	var records []record
	for i, r := range all {
		if kept[i] {
			records = append(records, r)
		}
	}
	return records
}

// A keeper finds the windows in records.
type keeper struct {
	all     []record
	windows []*window
	begun   int // the intent of an unlock that has no outcome yet; -1: there is none
}

func (k *keeper) add(i int, r record) {
	verb := helper.Verb(r[journal.Verb])
	outcome := r["MESSAGE_ID"] == journal.Outcome
	switch {
	case verb == helper.RunCommand:
		k.addRun(i, r, outcome)
	case outcome:
		k.addOutcome(i, r)
	case verb == helper.Unlock || verb == helper.Unseal:
		k.begun = i
	}
}

func (k *keeper) addRun(i int, r record, outcome bool) {
	id := "run " + r[journal.Request]
	w := k.open(id)
	switch {
	case w == nil && !outcome:
		k.windows = append(k.windows, &window{id: id, first: i, last: i})
	case w == nil || !outcome:
	case r[journal.OutcomeWord] != string(helper.Done) && isLocked(r):
		// It got no write access.
		k.windows = slices.DeleteFunc(k.windows, func(other *window) bool { return other == w })
	default:
		w.last, w.ended = i, true
	}
}

func (k *keeper) addOutcome(i int, r record) {
	if r[journal.Verb] == string(helper.LockForce) && r[journal.OutcomeWord] == string(helper.Done) {
		for _, w := range k.windows {
			if strings.HasPrefix(w.id, "run ") && !w.ended {
				w.last, w.ended = i, true
			}
		}
	}
	since := r[journal.WindowSince]
	if since != "" || isLocked(r) || k.begun >= 0 && k.all[k.begun][journal.Request] == r[journal.Request] {
		k.begun = -1
	}
	w := k.open("window " + r[journal.Config])
	switch {
	case since == "" && !isLocked(r), since == "" && w == nil:
		return
	case w == nil:
		w = &window{id: "window " + r[journal.Config], first: i, last: i}
		k.windows = append(k.windows, w)
	}
	k.noteAuthor(r, k.all[w.last])
	w.last, w.ended = i, isLocked(r)
}

// open returns the window of that id that has not ended.
func (k *keeper) open(id string) *window {
	for _, w := range k.windows {
		if w.id == id && !w.ended {
			return w
		}
	}
	return nil
}

// noteAuthor notes in a record who gave the reason of its window: who asked, or who is noted in
// the record of the same window before it.
func (k *keeper) noteAuthor(r, before record) {
	reason := r[journal.WindowReason]
	switch {
	case reason == "" || r[reasonBy] != "":
	case r[journal.Reason] == reason:
		r[reasonBy] = r[journal.UID]
	case before[journal.WindowReason] == reason && before[reasonBy] != "":
		r[reasonBy] = before[reasonBy]
	}
}

func isLocked(r record) bool { return r[journal.State] == string(helper.Locked) }

// authors returns the users, but for root, who have given a reason.
func authors(kept []record) []uint32 {
	found := map[uint32]bool{}
	note := func(uid, reason string) {
		if n, err := strconv.ParseUint(uid, 10, 32); err == nil && n != 0 && reason != "" {
			found[uint32(n)] = true
		}
	}
	for _, r := range kept {
		note(r[journal.UID], r[journal.Reason])
		note(r[reasonBy], r[journal.WindowReason])
	}
	return slices.Sorted(maps.Keys(found))
}

// redacted returns what a user may read, or what everyone may if there is none.
func redacted(kept []record, user *uint32) []record {
	isOwn := func(uid string) bool { return user != nil && uid == strconv.FormatUint(uint64(*user), 10) }
	seen := make([]record, len(kept))
	for i, r := range kept {
		r = maps.Clone(r)
		if !isOwn(r[journal.UID]) {
			delete(r, journal.Reason)
		}
		if !isOwn(r[reasonBy]) {
			delete(r, journal.WindowReason)
		}
		delete(r, reasonBy)
		if command := r[journal.Command]; command != "" {
			r[journal.Command] = program(command)
		}
		seen[i] = r
	}
	return seen
}

// program returns the first word of a command line, quoted if it is.
func program(line string) string {
	if quoted, err := strconv.QuotedPrefix(line); err == nil {
		return quoted
	}
	word, _, _ := strings.Cut(line, " ")
	return word
}
