package history

import (
	"cmp"
	"slices"

	"immutray.org/helper"
)

// A present is the state now.
type present struct {
	boot   string // the id of this boot
	locked bool
	atWork []string // the ids of the runs that have write access
}

// isOpen reports whether a window of this boot is open, of whose end there is no record.
func (p present) isOpen(w *Window) bool {
	if w.began.verb == helper.RunCommand {
		return slices.Contains(p.atWork, w.began.request)
	}
	return !p.locked
}

// windows returns the windows in the records, the newest first. The records are in the order of
// the journal.
func windows(records []record, now present) []*Window {
	b := &builder{}
	for _, boot := range byBoot(records) {
		b.addBoot(boot, now)
	}
	slices.Reverse(b.all)
	return b.all
}

// byBoot returns the records of each boot. Within a boot they are ordered by the monotonic
// clock, which can't be set; the boots are in the order of the journal.
func byBoot(records []record) [][]record {
	var boots [][]record
	index := map[string]int{}
	for _, r := range records {
		i, seen := index[r.boot]
		if !seen {
			i = len(boots)
			index[r.boot] = i
			boots = append(boots, nil)
		}
		boots[i] = append(boots[i], r)
	}
	for _, boot := range boots {
		slices.SortStableFunc(boot, func(a, b record) int { return cmp.Compare(a.monotonic, b.monotonic) })
	}
	return boots
}

// A builder makes windows of records.
type builder struct {
	all  []*Window
	left []*Window // were open when an earlier boot ended; no record since says more

	// Of the current boot:
	open  *Window   // is open as far as is known
	runs  []*Window // of runs that have not ended as far as is known
	begun *record   // the intent of an unlock that has no outcome
	down  *record   // the machine is being shut down
}

func (b *builder) addBoot(records []record, now present) {
	b.open, b.runs, b.begun, b.down = nil, nil, nil, nil
	answered := map[string]bool{}
	for _, r := range records {
		answered[r.request] = answered[r.request] || r.kind == outcome
	}
	for _, r := range records {
		if r.kind == outcome {
			b.addSeal(r)
		}
		switch {
		case r.kind == shutdown:
			b.down = &r
		case r.verb == helper.RunCommand:
			b.addRun(r)
		case r.kind == outcome:
			b.addOutcome(r)
		case r.opens() && !answered[r.request]:
			// The helper was killed, or the power went: perhaps after it unlocked.
			b.begun = &r
		}
	}
	b.endBoot(records[len(records)-1], now)
}

// addSeal takes the first record of a boot: it says how the boots before it ended.
func (b *builder) addSeal(r record) {
	for _, w := range b.left {
		w.sealed(r)
	}
	b.left = nil
	b.down = nil // a request since then: there was no shutdown, or it is over
}

// addRun takes a record of a command. It opens no window and ends none.
func (b *builder) addRun(r record) {
	i := slices.IndexFunc(b.runs, func(w *Window) bool { return w.began.request == r.request })
	switch {
	case r.kind == intent && i < 0:
		w := newWindow(r)
		b.all, b.runs = append(b.all, w), append(b.runs, w)
		return
	case r.kind == intent:
		return // its guardian was killed, and another one has taken over
	case i < 0:
		return // it never began, or lost its write access earlier
	}
	w := b.runs[i]
	b.runs = slices.Delete(b.runs, i, i+1)
	if r.outcome != helper.Done && r.state == helper.Locked {
		// It could not be given write access.
		b.all = slices.DeleteFunc(b.all, func(other *Window) bool { return other == w })
		return
	}
	w.close(r.moment, Command)
}

func (b *builder) addOutcome(r record) {
	if r.verb == helper.LockForce && r.outcome == helper.Done {
		for _, w := range b.runs {
			w.close(r.moment, Person)
			w.LockedBy = r.user
		}
		b.runs = nil
	}
	switch {
	case r.window != nil && b.open == nil:
		b.open = newWindow(r)
		b.all = append(b.all, b.open)
	case r.window != nil:
		b.open.Window = *r.window
	case r.state == helper.Locked && b.open != nil:
		// What the helper knew of the window was lost.
	case r.state == helper.Locked:
		b.begun = nil // it opened nothing
		return
	default:
		return
	}
	b.begun = nil
	if r.state == helper.Locked {
		b.open.close(r.moment, cmp.Or(End(r.cause), Unseen))
		b.open.LockedBy = r.user
		b.open = nil
	}
}

// endBoot settles what is open after the last record of a boot.
func (b *builder) endBoot(last record, now present) {
	isNow := last.boot == now.boot
	if b.open == nil && b.begun != nil && !(isNow && now.locked) {
		b.open = newWindow(*b.begun)
		b.all = append(b.all, b.open)
	}
	open := b.runs
	if b.open != nil {
		open = append(open, b.open)
	}
	for _, w := range open {
		switch {
		case isNow && now.isOpen(w):
		case isNow:
			w.End = Unseen
		case b.down != nil:
			w.close(b.down.moment, Shutdown)
		default:
			w.close(last.moment, Crash)
		}
	}
	if !isNow && len(open) > 0 {
		b.left = open
	}
}

// sealed notes whether the first thing that was done after the boot was to seal.
func (w *Window) sealed(r record) {
	if r.verb != helper.Seal || r.state != helper.Locked {
		return
	}
	w.Sealed = true
	if w.End == Shutdown {
		w.End = Seal
	}
}
