package notifytest

import (
	"sync"
	"testing"
	"time"
)

// A Clock is a clock that stands still until it is moved. It satisfies
// notify.Clock.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	timers  map[*timer]struct{}
	changed chan struct{} // closed, and made again, at every change of timers
}

type timer struct {
	due   time.Time
	fired chan time.Time
}

// NewClock returns a clock that shows now.
func NewClock(now time.Time) *Clock {
	return &Clock{now: now, timers: map[*timer]struct{}{}, changed: make(chan struct{})}
}

// Now returns what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After returns a channel that gets a value when the clock has moved by d.
func (c *Clock) After(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{due: c.now.Add(d), fired: make(chan time.Time, 1)}
	if d <= 0 {
		t.fired <- c.now
		return t.fired, func() {}
	}
	c.timers[t] = struct{}{}
	c.wake()
	return t.fired, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, t)
		c.wake()
	}
}

// Advance moves the clock by d in one jump, as a machine that slept so long does,
// and then fires what fell due meanwhile, each timer once. Where a goroutine is about
// to start a timer, wait for it first with [Clock.Await].
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for t := range c.timers {
		if !t.due.After(c.now) {
			t.fired <- c.now
			delete(c.timers, t)
		}
	}
	c.wake()
}

// Await waits until a timer is due d from now.
func (c *Clock) Await(t testing.TB, d time.Duration) {
	t.Helper()
	due := c.Now().Add(d)
	c.await(t, "a timer due in "+d.String(), func() bool {
		for t := range c.timers {
			if t.due.Equal(due) {
				return true
			}
		}
		return false
	})
}

// AwaitNone waits until no timer is left.
func (c *Clock) AwaitNone(t testing.TB) {
	t.Helper()
	c.await(t, "no timer", func() bool { return len(c.timers) == 0 })
}

func (c *Clock) await(t testing.TB, what string, is func() bool) {
	t.Helper()
	giveUp := time.After(timeout)
	for {
		c.mu.Lock()
		ok, changed := is(), c.changed
		var due []string
		for t := range c.timers {
			due = append(due, t.due.Sub(c.now).String())
		}
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-giveUp:
			t.Fatalf("waited %v for %s; timers are due in %v", timeout, what, due)
		}
	}
}

func (c *Clock) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}
