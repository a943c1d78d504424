package engine

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/statefile"
)

// timers are a Timer that sets nothing, but reports a system that is unlocked for a limited
// time without a timer.
type timers struct {
	f     *timedFixture
	armed map[string]time.Duration // since boot
	err   error                    // of Arm and Disarm
}

func (r *timers) Arm(_ context.Context, id string, after time.Duration) error {
	if r.err != nil {
		return r.err
	}
	if _, taken := r.armed[id]; taken {
		r.f.t.Errorf("timer %s is armed twice", id)
	}
	r.f.checkGuarded("before " + id + " is armed")
	r.armed[id] = r.f.boot + after
	return nil
}

func (r *timers) Disarm(_ context.Context, except string) error {
	if r.err != nil {
		return r.err
	}
	for id := range r.armed {
		if id != except {
			delete(r.armed, id)
		}
	}
	r.f.checkGuarded("after all but " + except + " are disarmed")
	return nil
}

// A timedFixture is a fixture with a clock and timers to play with.
type timedFixture struct {
	*fixture
	wall    time.Time
	boot    time.Duration
	timers  *timers
	limited bool // the window, if there is one, has an end
	asked   int
}

func newTimedFixture(t *testing.T) *timedFixture {
	f := &timedFixture{
		fixture: newFixture(t),
		wall:    time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC),
		boot:    100 * time.Hour,
	}
	f.timers = &timers{f: f, armed: map[string]time.Duration{}}
	f.engine.Timer = f.timers
	f.engine.clock = clock{func() time.Time { return f.wall }, func() time.Duration { return f.boot }}
	f.engine.Config.UnlockDefault = time.Hour
	f.must(helper.Lock)
	return f
}

// pass lets time pass, on both clocks.
func (f *timedFixture) pass(d time.Duration) {
	f.wall, f.boot = f.wall.Add(d), f.boot+d
}

func (f *timedFixture) checkGuarded(when string) {
	f.t.Helper()
	if f.limited && len(f.timers.armed) == 0 && f.status().State != helper.Locked {
		f.t.Errorf("%s: unlocked, and no timer is armed", when)
	}
}

// unlock asks with an id of its own, and wants it done.
func (f *timedFixture) unlock(r helper.Request) *helper.Result {
	f.t.Helper()
	f.asked++
	r.Verb, r.ID = helper.Unlock, fmt.Sprintf("unlock%d", f.asked)
	f.limited = !r.UntilLocked
	result := f.ask(r)
	if result.Outcome != helper.Done {
		f.t.Fatalf("unlock: %s: %s", result.Outcome, result.Error)
	}
	return result
}

func (f *timedFixture) due() *helper.Result {
	f.t.Helper()
	f.asked++
	return f.ask(helper.Request{Verb: helper.Lock, ID: fmt.Sprintf("due%d", f.asked), Due: true})
}

// expectWindow compares the window, as every user reads it, and its one timer with want.
func (f *timedFixture) expectWindow(when string, until time.Time, end time.Duration) {
	f.t.Helper()
	w := f.status().Window
	if w == nil || w.Until == nil || !w.Until.Equal(until) {
		f.t.Errorf("%s: window %+v, want until %v", when, w, until)
	}
	state, err := statefile.Read(f.State)
	if err != nil || state.Deadline == nil || state.Deadline.SinceBoot != end {
		f.t.Errorf("%s: deadline %+v, %v, want %v", when, state.Deadline, err, end)
		return
	}
	if want := map[string]time.Duration{state.Deadline.ID: end}; !reflect.DeepEqual(f.timers.armed, want) {
		f.t.Errorf("%s: timers %v, want %v", when, f.timers.armed, want)
	}
}

func (f *timedFixture) expectNoTimer(when string) {
	f.t.Helper()
	state, err := statefile.Read(f.State)
	if err != nil || state.Deadline != nil || len(f.timers.armed) > 0 {
		f.t.Errorf("%s: deadline %+v, %v, timers %v, want none", when, state.Deadline, err, f.timers.armed)
	}
}
