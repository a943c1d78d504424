package engine

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
)

func TestAWindowEnds(t *testing.T) {
	f := newTimedFixture(t)
	start, boot := f.wall, f.boot
	f.unlock(helper.Request{For: 30 * time.Minute})
	f.expect("unlocked", helper.Unlocked)
	f.expectWindow("unlocked", start.Add(30*time.Minute), boot+30*time.Minute)

	f.pass(30 * time.Minute)
	if r := f.due(); r.Outcome != helper.Done || r.Status.State != helper.Locked || r.Status.Window != nil {
		t.Errorf("at the end: %s %s, %+v", r.Outcome, r.Error, r.Status)
	}
	f.expect("at the end", helper.Locked)
	f.expectNoTimer("at the end")
}

func TestALockTakesTheTimerBack(t *testing.T) {
	f := newTimedFixture(t)
	for _, verb := range []helper.Verb{helper.Lock, helper.Seal} {
		f.commandLine("ro")
		f.unlock(helper.Request{})
		f.must(verb)
		f.expectNoTimer(string(verb))
	}
	// Already locked by hand: who says so once more is not followed by a timer.
	f.unlock(helper.Request{})
	f.arrange("locked")
	f.must(helper.Lock)
	f.expectNoTimer("locked by hand, then by request")
}

// What cannot be closed again is not opened.
func TestNoTimerNoUnlock(t *testing.T) {
	f := newTimedFixture(t)
	f.timers.err = errors.New("no bus")
	r := f.ask(helper.Request{Verb: helper.Unlock, ID: "1", For: time.Minute})
	if want := "cannot set a timer for the end of the window: no bus"; r.Outcome != helper.Failed || r.Error != want {
		t.Errorf("unlock = %s: %q, want %q", r.Outcome, r.Error, want)
	}
	f.expect("without a bus", helper.Locked)
	f.engine.Timer = nil
	if r := f.ask(helper.Request{Verb: helper.Unlock, ID: "2"}); r.Outcome != helper.Failed || r.Status.State != helper.Locked {
		t.Errorf("unlock without a Timer = %s, %s", r.Outcome, r.Status.State)
	}
	f.engine.Timer, f.timers.err = f.timers, nil

	// Nor does a failed extension cost the window that there was.
	f.unlock(helper.Request{For: time.Hour})
	end, until := f.boot+time.Hour, f.wall.Add(time.Hour)
	f.timers.err = errors.New("no bus")
	if r := f.ask(helper.Request{Verb: helper.Unlock, ID: "3", For: 2 * time.Hour}); r.Outcome != helper.Failed {
		t.Errorf("extension = %s", r.Outcome)
	}
	f.expectWindow("after an extension that failed", until, end)
	f.expect("after an extension that failed", helper.Unlocked)
}

func TestHowLong(t *testing.T) {
	const open = config.UntilLocked
	minute := func(n int) *statefile.Deadline { return &statefile.Deadline{SinceBoot: time.Duration(n) * time.Minute} }
	for _, test := range []struct {
		name      string
		def, most time.Duration
		ask       helper.Request
		unlocked  bool
		deadline  *statefile.Deadline
		want      time.Duration
		refused   bool
	}{
		{name: "nothing said", def: time.Hour, want: time.Hour},
		{name: "nothing said, no default", def: open, want: open},
		{name: "said", def: time.Hour, ask: helper.Request{For: 2 * time.Hour}, want: 2 * time.Hour},
		{name: "until locked", def: time.Hour, ask: helper.Request{UntilLocked: true}, want: open},
		{name: "too long", def: time.Hour, most: time.Hour, ask: helper.Request{For: 2 * time.Hour}, refused: true},
		{name: "until locked, not allowed", def: time.Hour, most: time.Hour, ask: helper.Request{UntilLocked: true}, refused: true},
		{name: "shortened", def: time.Hour, ask: helper.Request{For: time.Minute}, unlocked: true, deadline: minute(30), want: time.Minute},
		{name: "unlocked, nothing said", def: time.Hour, unlocked: true, deadline: minute(30), want: time.Hour},
		{name: "unlocked for longer, nothing said", def: time.Hour, unlocked: true, deadline: minute(90), want: 90 * time.Minute},
		{name: "unlocked for longer than is allowed by now", def: time.Hour, most: time.Hour, unlocked: true, deadline: minute(90), want: time.Hour},
		{name: "unlocked without an end", def: time.Hour, unlocked: true, want: open},
		{name: "unlocked without an end, no longer allowed", def: time.Hour, most: 2 * time.Hour, unlocked: true, want: time.Hour},
		{name: "overdue", def: time.Hour, unlocked: true, deadline: minute(-3), want: time.Hour},
		{name: "unlocked, no default", def: open, unlocked: true, deadline: minute(30), want: open},
		{name: "at boot", def: time.Hour, most: time.Hour, ask: helper.Request{Verb: helper.Unseal}, want: open},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &Engine{
				Config: config.Config{UnlockDefault: test.def, UnlockMax: test.most},
				clock:  clock{func() time.Time { return time.Time{} }, func() time.Duration { return 0 }},
			}
			had := statefile.State{Deadline: test.deadline}
			if test.unlocked {
				had.Window = &helper.Window{}
			}
			got, err := e.length(test.ask, had)
			if refused := errors.Is(err, config.ErrTooLong); refused != test.refused || !refused && (err != nil || got != test.want) {
				t.Errorf("length() = %v, %v, want %v", got, err, test.want)
			}
		})
	}
}

func TestAWindowThatIsTooLongIsRefused(t *testing.T) {
	f := newTimedFixture(t)
	f.engine.Config.UnlockMax = time.Hour
	r := f.ask(helper.Request{Verb: helper.Unlock, ID: "1", UntilLocked: true})
	if want := "cannot unlock until someone locks: at most 1h is allowed"; r.Outcome != helper.TooLong || r.Error != want {
		t.Errorf("unlock = %s: %q, want %q", r.Outcome, r.Error, want)
	}
	f.expect("refused", helper.Locked)
	f.expectNoTimer("refused")
}

// Who unlocked first stays recorded, and the rest is what was asked for last.
func TestAskingAgain(t *testing.T) {
	f := newTimedFixture(t)
	first := f.unlock(helper.Request{For: time.Hour}).Status.Window
	f.pass(10 * time.Minute)
	for _, d := range []time.Duration{2 * time.Hour, time.Minute} {
		r := f.unlock(helper.Request{For: d})
		if w := r.Status.Window; !w.Since.Equal(first.Since) || w.User != first.User {
			t.Errorf("window %+v, want it to begin as %+v", w, first)
		}
		f.expectWindow("for "+d.String(), f.wall.Add(d), f.boot+d)
	}
	r := f.unlock(helper.Request{UntilLocked: true})
	if w := r.Status.Window; w.Until != nil || !w.Since.Equal(first.Since) {
		t.Errorf("window %+v, want one without an end", w)
	}
	f.expectNoTimer("until locked")
	f.pass(100 * time.Hour)
	if r := f.due(); r.Outcome != helper.Done || r.Status.State != helper.Unlocked {
		t.Errorf("a timer that was forgotten: %s, %s", r.Outcome, r.Status.State)
	}
}

// Every step of every extension keeps a timer armed; see timers, which looks.
func TestExtensionsLeaveNoMomentWithoutATimer(t *testing.T) {
	f := newTimedFixture(t)
	for range 100 {
		d := time.Duration(1+rand.IntN(7200)) * time.Second
		f.unlock(helper.Request{For: d})
		f.expectWindow("for "+d.String(), f.wall.Add(d), f.boot+d)
		f.pass(time.Duration(rand.IntN(int(min(d, time.Minute)))).Truncate(time.Second))
	}
	f.expect("after all", helper.Unlocked)
}

// Time is what passes, the machine's sleep included, and not what the clock is set to.
func TestTheTimeOfDayIsSet(t *testing.T) {
	for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			f := newTimedFixture(t)
			f.unlock(helper.Request{For: time.Hour})
			end := f.boot + time.Hour
			f.pass(20 * time.Minute)
			f.wall = f.wall.Add(jump)
			r := f.due() // the timer notices
			if r.Outcome != helper.Done || r.Status.State != helper.Unlocked || len(r.Notices) != 1 || !strings.HasPrefix(r.Notices[0], "not locked: the window lasts until ") {
				t.Errorf("when the clock is set: %s %s, %s, %q", r.Outcome, r.Error, r.Status.State, r.Notices)
			}
			f.expectWindow("when the clock is set", f.wall.Add(40*time.Minute), end)
			f.pass(40 * time.Minute)
			if r := f.due(); r.Status.State != helper.Locked {
				t.Errorf("at the end: %s %s, %s", r.Outcome, r.Error, r.Status.State)
			}
			f.expectNoTimer("at the end")
		})
	}
}

// It is found at the next attempt, and the timer asks until then.
func TestABlockedEndIsTriedAgain(t *testing.T) {
	f := newTimedFixture(t)
	f.unlock(helper.Request{For: time.Minute})
	end, until := f.boot+time.Minute, f.wall.Add(time.Minute)
	a := f.start("writes", filepath.Join(f.Root, "file"))
	f.pass(time.Minute)
	for range 2 {
		if r := f.due(); r.Outcome != helper.Blocked || len(r.Writers) != 1 {
			t.Errorf("with a writer: %s %s", r.Outcome, r.Error)
		}
		f.expectWindow("blocked", until, end)
		f.pass(20 * time.Second)
	}
	a.stop()
	if r := f.due(); r.Outcome != helper.Done || r.Status.State != helper.Locked {
		t.Errorf("without the writer: %s %s", r.Outcome, r.Error)
	}
}

// With the record of the window lost, the timer is what is left of it.
func TestALostRecordEndsTheWindow(t *testing.T) {
	f := newTimedFixture(t)
	for name, content := range map[string]string{"missing": "", "damaged": `{"window": {`} {
		f.unlock(helper.Request{})
		f.command("rm", filepath.Join(f.State, statedir.StateFile))
		if content != "" {
			writeFile(t, filepath.Join(f.State, statedir.StateFile), content)
		}
		if r := f.due(); r.Outcome != helper.Done || r.Status.State != helper.Locked {
			t.Errorf("%s: %s %s", name, r.Outcome, r.Error)
		}
		f.timers.armed = map[string]time.Duration{} // with a missing file it is not known that there was one
	}
}

// The timer is taken back only when there is nothing left for it to end.
func TestABlockedLockWithALostRecordKeepsTheTimer(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"damaged":  func(p string) error { return os.WriteFile(p, []byte("{"), 0o644) },
		"too long": func(p string) error { return os.Truncate(p, 64<<20) },
		"missing":  os.Remove,
	} {
		for _, verb := range []helper.Verb{helper.Lock, helper.Seal} {
			t.Run(name+" "+string(verb), func(t *testing.T) {
				f := newTimedFixture(t)
				f.commandLine("ro")
				f.unlock(helper.Request{For: 20 * time.Second})
				if err := damage(filepath.Join(f.State, statedir.StateFile)); err != nil {
					t.Fatal(err)
				}
				a := f.start("maps", filepath.Join(f.Root, "file"))
				if r := f.run(verb); r.Outcome != helper.Blocked {
					t.Errorf("%s with a writer: %s %s", verb, r.Outcome, r.Error)
				}
				f.checkGuarded("after the blocked " + string(verb))
				f.pass(20 * time.Second)
				for range 2 {
					r := f.due()
					if o := f.status().Overdue; r.Outcome != helper.Blocked || o == nil || len(o.Writers) != 1 {
						t.Errorf("at the end, with a writer: %s %s, on record %+v", r.Outcome, r.Error, o)
					}
					f.pass(20 * time.Second)
				}
				a.stop()
				if r := f.due(); r.Outcome != helper.Done || r.Status.State != helper.Locked {
					t.Errorf("without the writer: %s %s", r.Outcome, r.Error)
				}
				f.expectNoTimer("at the end")
			})
		}
	}
}

// If a system is unlocked without a record, a timer that comes is the end of its window.
func TestATimerEndsAWindowWithoutARecord(t *testing.T) {
	f := newTimedFixture(t)
	f.unlock(helper.Request{For: time.Hour})
	state, err := statefile.Read(f.State)
	if err != nil {
		t.Fatal(err)
	}
	state.Window, state.Deadline = nil, nil
	if err := statefile.Write(f.State, state); err != nil {
		t.Fatal(err)
	}
	if r := f.due(); r.Outcome != helper.Done || r.Status.State != helper.Locked {
		t.Errorf("due: %s %s, %q", r.Outcome, r.Error, r.Notices)
	}
}

// What is shown as the end is at a full second, never before the time asked for.
func TestClockIn(t *testing.T) {
	wall := time.Date(2026, 11, 23, 14, 0, 0, 123, time.UTC)
	c := clock{func() time.Time { return wall }, func() time.Duration { return time.Hour }}
	until, after, sinceBoot := c.in(time.Minute)
	if want := time.Date(2026, 11, 23, 14, 1, 1, 0, time.UTC); !until.Equal(want) || after != want.Sub(wall) || sinceBoot != time.Hour+after {
		t.Errorf("in(1m) = %v, %v, %v", until, after, sinceBoot)
	}
	until, after, _ = clock{}.in(time.Hour)
	if until.Nanosecond() != 0 || after < time.Hour || after > time.Hour+time.Second {
		t.Errorf("in(1h) on the real clock = %v, %v", until, after)
	}
}
