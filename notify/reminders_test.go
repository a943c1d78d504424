package notify

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/notify/notifytest"
)

// session is a running Reminders on an injected clock against a fake server.
type session struct {
	t         *testing.T
	bus       *notifytest.Bus
	server    *notifytest.Server
	clock     *notifytest.Clock
	reminders *Reminders
	locks     chan struct{} // LockNow was called
	extends   chan struct{} // Extend was called
	changes   chan struct{} // Changed was called
	failures  chan error
	end       func() // ends Run and waits for that
}

func newSession(t *testing.T, options Options) *session {
	t.Helper()
	s := &session{
		t:        t,
		bus:      notifytest.StartBus(t),
		clock:    notifytest.NewClock(noon),
		locks:    make(chan struct{}, 100),
		extends:  make(chan struct{}, 100),
		changes:  make(chan struct{}, 100),
		failures: make(chan error, 100),
	}
	s.server = notifytest.NewServer(t, s.bus)
	n, err := NewNotifier(s.bus.Connect(t), options)
	if err != nil {
		t.Fatal(err)
	}
	s.reminders = &Reminders{
		Notifier: n,
		Clock:    s.clock,
		Wall:     s.clock.Now,
		LockNow:  func() { s.locks <- struct{}{} },
		Extend:   func() { s.extends <- struct{}{} },
		Changed:  func() { s.changes <- struct{}{} },
		Failed:   func(err error) { s.failures <- err },
		Icon:     func(state helper.State) string { return "immutray-" + string(state) },
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.reminders.Run(ctx)
	}()
	s.end = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(func() {
		s.end()
		n.Stop()
		checkNoGoroutines(t)
	})
	return s
}

// begin is newSession with the server there.
func begin(t *testing.T) *session {
	t.Helper()
	s := newSession(t, Options{})
	s.server.Start()
	return s
}

// pass moves the clock by d, once a timer waits for that moment.
func (s *session) pass(d time.Duration) {
	s.t.Helper()
	s.clock.Await(s.t, d)
	s.clock.Advance(d)
}

func unlockedBy(user string) helper.Status {
	return status(helper.Unlocked, window(0, user), both(helper.Unlocked)...)
}

var (
	allLocked = status(helper.Locked, nil, both(helper.Locked)...)
	halfOpen  = status(helper.PartlyLocked, window(0, "rrs"), path("/", helper.Locked), path("/etc", helper.MountOnly))
)

func TestRemindersFirstAfterFiveMinutesThenEveryFifteen(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	post := s.server.WaitForPosts(1)
	if post.Summary != "System unlocked" || post.Body != "Unlocked for 5 min by rrs, since 14:30." {
		t.Errorf("posted %q, %q", post.Summary, post.Body)
	}
	if post.Hints["urgency"].Value() != byte(2) || post.Expire != 0 || post.Icon != "immutray-unlocked" || post.Hints["desktop-entry"].Value() != "immutray" {
		t.Errorf("posted %+v, want critical, never expiring", post)
	}
	if got := strings.Join(post.Actions, "|"); got != "lock|Lock now|snooze|Remind me in 1 hour" {
		t.Errorf("actions %q", got)
	}
	for n, ago := range []string{"20 min", "35 min", "50 min", "1 h 5 min"} {
		s.pass(15 * time.Minute)
		post := s.server.WaitForPosts(n + 2)
		if post.ID != 1 || post.Replaces != 1 {
			t.Errorf("posted %+v, want id 1 reused", post)
		}
		if want := "Unlocked for " + ago + " by rrs, since 14:30."; post.Body != want {
			t.Errorf("body %q, want %q", post.Body, want)
		}
	}
	s.server.WaitForOpen(1)
}

func TestRemindersCloseOnLock(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForOpen(1)
	s.reminders.Update(allLocked)
	s.server.WaitForOpen(0)
	s.clock.AwaitNone(t)
	// A new window starts from the beginning.
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForOpen(1)
	s.server.WaitForPosts(2)
}

func TestRemindersSessionBegan(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForOpen(1)
	s.reminders.SessionBegan()
	s.server.WaitForOpen(0)
	s.pass(5 * time.Minute)
	s.server.WaitForOpen(1)
}

func TestRemindersLockNow(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.server.InvokeAction(1, ActionLock)
	receive(t, s.locks)
	s.server.WaitForOpen(0) // the daemon has closed it with the button
	s.clock.Await(t, buttonTimeout)
	s.reminders.Update(allLocked)
	s.clock.AwaitNone(t)
	s.server.WaitForPosts(1)
}

// The lock is blocked by a writer: the reminder must come back although the daemon
// has closed it with the button.
func TestRemindersLockNowBlocked(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.server.InvokeAction(1, ActionLock)
	receive(t, s.locks)
	s.server.WaitForOpen(0)
	s.pass(buttonTimeout)
	s.server.WaitForOpen(1)
	s.server.WaitForPosts(2)
	s.pass(15 * time.Minute)
	s.server.WaitForPosts(3)
}

// Where the daemon knows "resident" the reminder never went.
func TestRemindersLockNowResident(t *testing.T) {
	s := begin(t)
	s.server.SetResident(true)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.server.InvokeAction(1, ActionLock)
	receive(t, s.locks)
	s.server.WaitForOpen(1)
	s.reminders.Update(allLocked)
	s.server.WaitForOpen(0)
}

func TestRemindersSnoozeButton(t *testing.T) {
	for _, resident := range []bool{false, true} {
		s := begin(t)
		s.server.SetResident(resident)
		s.reminders.Update(unlockedBy("rrs"))
		s.pass(5 * time.Minute)
		s.server.WaitForPosts(1)
		s.server.InvokeAction(1, ActionSnooze)
		s.server.WaitForOpen(0)
		receive(t, s.changes)
		if until, ok := s.reminders.SnoozedUntil(); !ok || !until.Equal(noon.Add(65*time.Minute)) {
			t.Errorf("SnoozedUntil() = %v, %v, want 15:35", until, ok)
		}
		s.pass(time.Hour)
		s.server.WaitForPosts(2)
		s.server.WaitForOpen(1)
		receive(t, s.changes)
		if until, ok := s.reminders.SnoozedUntil(); ok {
			t.Errorf("SnoozedUntil() = %v after the snooze", until)
		}
		s.pass(15 * time.Minute)
		s.server.WaitForPosts(3)
		s.end()
	}
}

func TestRemindersSnooze(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.clock.Await(t, 5*time.Minute)
	s.reminders.Snooze()
	s.clock.Await(t, time.Hour)
	s.reminders.Update(allLocked)
	s.clock.AwaitNone(t)
	if until, ok := s.reminders.SnoozedUntil(); ok {
		t.Errorf("SnoozedUntil() = %v while locked", until)
	}
	// Locked in between, the snooze is over.
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
}

// SnoozedUntil is a time of day, although the Clock is none.
func TestRemindersSnoozedUntilIsATimeOfDay(t *testing.T) {
	s := begin(t)
	wall := time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)
	r := &Reminders{Clock: s.clock, Wall: func() time.Time { return wall }, snoozed: noon.Add(time.Hour)}
	if until, ok := r.SnoozedUntil(); !ok || !until.Equal(wall.Add(time.Hour)) {
		t.Errorf("SnoozedUntil() = %v, %v, want 09:00", until, ok)
	}
}

func TestRemindersEightHoursAsleepAreOne(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.clock.Await(t, 15*time.Minute)
	s.clock.Advance(8 * time.Hour)
	if post := s.server.WaitForPosts(2); post.Body != "Unlocked for 8 h 5 min by rrs, since 14:30." {
		t.Errorf("body %q", post.Body)
	}
	s.clock.Await(t, 15*time.Minute) // from the wake-up
	s.server.WaitForPosts(2)
	s.server.WaitForOpen(1)
	s.pass(15 * time.Minute)
	s.server.WaitForPosts(3)
}

func TestRemindersPartlyLocked(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.clock.Await(t, 15*time.Minute)
	// The text follows, in its place, without a sound, and not at once.
	s.reminders.Update(halfOpen)
	s.pass(refreshGap)
	post := s.server.WaitForPosts(2)
	if post.Summary != "System partly locked" || post.Replaces != 1 || post.Hints["suppress-sound"].Value() != true || post.Icon != "immutray-partly-locked" {
		t.Errorf("posted %+v", post)
	}
	// The same again says nothing new.
	s.reminders.Update(halfOpen)
	s.pass(15*time.Minute - refreshGap)
	post = s.server.WaitForPosts(3)
	if post.Hints["suppress-sound"].Value() != nil {
		t.Errorf("posted %+v, want it with its sound", post)
	}
	s.server.WaitForOpen(1)
}

func TestRemindersUnknown(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.clock.Await(t, 15*time.Minute)
	s.reminders.Update(status(helper.Unknown, nil))
	s.clock.AwaitNone(t)
	s.clock.Advance(time.Hour)
	s.reminders.Update(unlockedBy("rrs"))
	s.server.WaitForPosts(2)
	s.server.WaitForOpen(1)
}

func TestRemindersOtherSlotsAreNotTheirs(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	mustPost(t, s.reminders.Notifier, SlotObstacle, critical)
	s.server.InvokeAction(2, ActionLock)
	s.server.InvokeAction(1, ActionSnooze)
	s.clock.Await(t, time.Hour)
	if len(s.locks) != 0 {
		t.Error("another slot's button locked")
	}
}

func TestRemindersUpdateBeforeRun(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	clock := notifytest.NewClock(noon)
	// Of the fields only these two are needed.
	r := &Reminders{Notifier: n, Clock: clock}
	r.Update(unlockedBy("rrs"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	clock.Await(t, 5*time.Minute)
	clock.Advance(5 * time.Minute)
	server.WaitForPosts(1)
	server.InvokeAction(1, ActionLock) // no callback is set
	clock.Await(t, buttonTimeout)
	cancel()
	<-ended
}

func TestRemindersEndWithTheContext(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForOpen(1)
	s.end()
	// Its buttons would do nothing any more.
	s.server.WaitForOpen(0)
	s.clock.AwaitNone(t)
	s.reminders.Update(unlockedBy("rrs")) // does not block
	s.reminders.Notifier.Stop()
	checkNoGoroutines(t)
}
