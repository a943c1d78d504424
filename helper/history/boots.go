package history

import (
	"cmp"
	"slices"

	"immutray.org/helper"
)

// A present is how things stand now.
type present struct {
	boot   string // the id of this boot
	locked bool
	atWork []string // the ids of the commands that alone can write
}

// isOpen reports whether a window of this boot that nothing is known to have ended is.
func (p present) isOpen(w *Window) bool {
	if w.began.verb == helper.RunCommand {
		return slices.Contains(p.atWork, w.began.request)
	}
	return !p.locked
}

// windows returns the windows that the records tell of, the newest first. The records
// come as the journal has them.
func windows(records []record, now present) []*Window {
	b := &builder{}
	for _, boot := range byBoot(records) {
		b.addBoot(boot, now)
	}
	slices.Reverse(b.all)
	return b.all
}

// byBoot returns the records of each boot. Within a boot their order is that of the
// monotonic clock, which nobody can set; of boots it is that of the journal.
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
	left []*Window // were open when an earlier boot ended, and that is all since

	// Of the boot at hand:
	open  *Window   // is open as far as is known
	runs  []*Window // of commands that are at work as far as is known
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

// addSeal takes what was done first after a boot: it tells of those before.
func (b *builder) addSeal(r record) {
	for _, w := range b.left {
		w.sealed(r)
	}
	b.left = nil
	b.down = nil // what was done after it says that it was none, or that it is over
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
		return // who answered for it was killed, and another goes on
	case i < 0:
		return // it was never begun, or has lost its write access before
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
