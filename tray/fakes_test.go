package tray

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/notify"
	"immutray.org/notify/notifytest"
)

// A stage has a controller on it, and fakes of everything around it. What the fakes
// were asked is in one log, in order, but for the models, which the screen has.
type stage struct {
	t      *testing.T
	c      *controller
	clock  *notifytest.Clock
	system *playedSystem
	cancel context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed, and made again, at every change
	log     []string
	model   model
	models  int
	wall    time.Time
	snoozed time.Time
	blind   int   // how often the tray can't be reached
	failure error // of every notification
	mayNot  error // why a lock would ask for a password
	answers chan reply
	restart chan error  // how a restart ends
	locking atomic.Bool // what the reminders were given
}

// newStage starts a controller, and waits until it shows the report.
func newStage(t *testing.T, settings settings, report report) *stage {
	t.Helper()
	return newStageWith(t, settings, report, func(*controller) {})
}

// newStageWith has the controller changed before it starts.
func newStageWith(t *testing.T, settings settings, report report, change func(*controller)) *stage {
	t.Helper()
	s := &stage{
		t:       t,
		clock:   notifytest.NewClock(testNow),
		system:  &playedSystem{report: report, changed: make(chan struct{}, 1)},
		ended:   make(chan struct{}),
		changed: make(chan struct{}),
		wall:    testNow,
		answers: make(chan reply),
		restart: make(chan error),
	}
	c := &controller{}
	c.System, c.Helper, c.Notes, c.Reminders, c.Screen, c.Clock = s.system, s, fakeNotes{s}, fakeReminders{s}, s, s.clock
	c.Services = s
	c.Settings, c.Version = settings, "1.2.3"
	c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	c.Quit = func() { s.note("quit") }
	c.MayLock = func(context.Context) error {
		s.note("may lock?")
		return s.mayNot
	}
	c.Wall = func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.wall
	}
	change(c)
	s.c = c
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.ended)
		c.Run(ctx)
	}()
	t.Cleanup(s.end)
	s.waitModel("the first model", func(model) bool { return true })
	return s
}

// end ends the controller.
func (s *stage) end() {
	s.t.Helper()
	s.cancel()
	select {
	case <-s.ended:
	case <-time.After(timeout):
		s.t.Error("the controller does not end")
	}
}

func (s *stage) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stage) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf(format, args...))
	s.wake()
}

// passTime moves both clocks.
func (s *stage) passTime(d time.Duration) {
	s.mu.Lock()
	s.wall = s.wall.Add(d)
	s.mu.Unlock()
	s.clock.Advance(d)
}

func (s *stage) wait(what string, is func() bool) {
	s.t.Helper()
	giveUp := time.After(timeout)
	for {
		s.mu.Lock()
		ok, changed := is(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-giveUp:
			s.t.Fatalf("waited for %s; the log is\n%s\nand shown is\n%s", what, strings.Join(s.log, "\n"), s.model.text())
		}
	}
}

func (s *stage) waitModel(what string, is func(model) bool) {
	s.t.Helper()
	s.wait(what, func() bool { return s.models > 0 && is(s.model) })
}

func (s *stage) waitTooltip(want string) {
	s.t.Helper()
	s.waitModel("the tooltip "+want, func(m model) bool { return m.Tooltip == want })
}

// waitLog waits until exactly these lines are in the log, those of lines that begin
// like one of ignored left out.
func (s *stage) waitLog(want ...string) {
	s.t.Helper()
	s.wait(fmt.Sprintf("the log %q", want), func() bool { return slices.Equal(s.log, want) })
}

// expectLog says what is in the log once the controller has done all it had to do.
func (s *stage) expectLog(want ...string) {
	s.t.Helper()
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.log, want) {
		s.t.Errorf("the log is\n%s\nwant\n%s", strings.Join(s.log, "\n"), strings.Join(want, "\n"))
	}
}

func (s *stage) clearLog() {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

// settle waits until the controller has done what it had to do, and sent what it had
// to send.
func (s *stage) settle() {
	s.t.Helper()
	wait := func(done chan struct{}) {
		s.t.Helper()
		select {
		case <-done:
		case <-time.After(timeout):
			s.t.Fatal("the controller hangs")
		}
	}
	done := make(chan struct{})
	s.c.in.Put(func() { close(done) })
	wait(done)
	// What follows from all that it did by then is sent before the next mail.
	done = make(chan struct{})
	s.c.in.Put(func() { s.c.out.Put(func() { close(done) }) })
	wait(done)
}

func (s *stage) Show(m model) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blind > 0 {
		s.blind--
		return errors.New("context deadline exceeded")
	}
	s.model = m
	s.models++
	s.wake()
	return nil
}

func (s *stage) Do(ctx context.Context, r helper.Request) (*helper.Result, error) {
	s.note("do %s", asked(r))
	select {
	case r := <-s.answers:
		return r.Result, r.err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *stage) Restart(ctx context.Context, units []string) error {
	s.note("restart %s", strings.Join(units, " "))
	select {
	case err := <-s.restart:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endRestart ends the restart, while the system is as the report says.
func (s *stage) endRestart(err error, left report) {
	s.t.Helper()
	s.system.mu.Lock()
	s.system.report = left // not signalled: only a read sees it
	s.system.mu.Unlock()
	select {
	case s.restart <- err:
	case <-time.After(timeout):
		s.t.Fatal("nothing was to be restarted")
	}
}

// asked says what is asked for.
func asked(r helper.Request) string {
	words := string(r.Verb)
	if r.For != 0 {
		words += " for " + r.For.String()
	}
	if r.UntilLocked {
		words += " until locked"
	}
	return words
}

// answer gives the helper's answer, while the system is as the report says.
func (s *stage) answer(r reply, left report) {
	s.t.Helper()
	s.system.mu.Lock()
	s.system.report = left // not signalled: only a read sees it
	s.system.mu.Unlock()
	select {
	case s.answers <- r:
	case <-time.After(timeout):
		s.t.Fatal("the helper was not asked")
	}
}

type fakeNotes struct{ s *stage }

func (f fakeNotes) Post(_ context.Context, slot string, n notify.Notification) error {
	f.s.note("%s: %s | %s", slot, n.Summary, strings.ReplaceAll(n.Body, "\n", " / "))
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.s.failure
}

func (f fakeNotes) Close(_ context.Context, slot string) error {
	f.s.note("close %s", slot)
	return nil
}

type fakeReminders struct{ s *stage }

func (f fakeReminders) Update(status helper.Status) { f.s.note("remind %s", status.State) }
func (f fakeReminders) Use(u notify.Settings)       { f.s.note("use %v", u) }
func (f fakeReminders) Snooze()                     { f.s.note("snooze") }
func (f fakeReminders) SessionBegan()               { f.s.note("began") }
func (f fakeReminders) LockBegan()                  { f.s.locking.Store(true) }
func (f fakeReminders) LockEnded()                  { f.s.locking.Store(false) }
func (f fakeReminders) SnoozedUntil() (time.Time, bool) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.s.snoozed, !f.s.snoozed.IsZero()
}
