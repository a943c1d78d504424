package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"immutray.org/notify/notifytest"
)

func TestRemindersDismissed(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.server.Dismiss(1)
	s.pass(15 * time.Minute)
	if post := s.server.WaitForPosts(2); post.ID != 2 {
		t.Errorf("posted %+v, want a new id", post)
	}
	s.pass(15 * time.Minute)
	if post := s.server.WaitForPosts(3); post.Replaces != 2 {
		t.Errorf("posted %+v, want the new id replaced", post)
	}
}

func TestRemindersDaemonRestarts(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.clock.Await(t, 15*time.Minute)
	s.server.SetCapabilities("body")
	s.server.Restart()
	post := s.server.WaitForPosts(2)
	if post.Replaces != 0 || len(post.Actions) != 0 || !strings.HasSuffix(post.Body, "\nTo lock, run: immutectl lock") {
		t.Errorf("posted %+v, want a new one, as the new daemon can show it", post)
	}
	s.server.WaitForOpen(1)
	s.reminders.Update(allLocked)
	s.server.WaitForOpen(0)
}

func TestRemindersNoDaemonThenItAppears(t *testing.T) {
	s := newSession(t, Options{})
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	if err := receive(t, s.failures); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("failed with %v, want ErrNoDaemon", err)
	}
	s.pass(15 * time.Minute)
	if err := receive(t, s.failures); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("failed with %v, want ErrNoDaemon", err)
	}
	s.server.Start()
	s.server.WaitForPosts(1)
	s.clock.Await(t, 15*time.Minute)
	s.server.WaitForOpen(1)
}

func TestRemindersFallbackThenTheDaemonAppears(t *testing.T) {
	shown := make(chan Notification, 10)
	s := newSession(t, Options{Fallback: func(n Notification) error {
		shown <- n
		return nil
	}})
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	if n := receive(t, shown); n.Summary != "System unlocked" {
		t.Errorf("the fallback showed %+v", n)
	}
	s.pass(15 * time.Minute)
	receive(t, shown)
	// It is gone from the screen by now: the daemon shows it again.
	s.server.Start()
	s.server.WaitForPosts(1)
	select {
	case err := <-s.failures:
		t.Error(err)
	default:
	}
}

func TestRemindersHungDaemon(t *testing.T) {
	var p manualTimeout
	s := newSession(t, Options{bound: p.bound})
	s.server.Start()
	s.server.Hang(true)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitFor("the call", func(st notifytest.State) bool { return st.Calls["GetCapabilities"] == 1 })
	p.runOut()
	if err := receive(t, s.failures); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("failed with %v, want ErrNoAnswer", err)
	}
	s.clock.Await(t, retryAfter)
	s.server.Hang(false)
	s.clock.Advance(retryAfter)
	s.server.WaitForPosts(1)
	s.server.WaitForOpen(1)
}

// The daemon has got the reminder but hangs before it answers; the system is locked
// meanwhile. What it shows late must not stay.
func TestRemindersLockedWhileTheDaemonHangs(t *testing.T) {
	var p manualTimeout
	s := newSession(t, Options{bound: p.bound})
	s.server.Start()
	s.server.HangIn("Notify", true)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitFor("the call", func(st notifytest.State) bool { return st.Calls["Notify"] == 1 })
	p.runOut()
	receive(t, s.failures)
	s.clock.Await(t, retryAfter)
	s.reminders.Update(allLocked)
	s.clock.AwaitNone(t)
	s.server.HangIn("Notify", false)
	s.server.WaitFor("the late reminder to be closed", func(st notifytest.State) bool {
		return len(st.Posts) == 1 && len(st.Open) == 0
	})
}

func TestRemindersExcessNotificationGeneration(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedBy("rrs"))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1)
	s.server.SetError("Notify", "org.freedesktop.Notifications.Error.ExcessNotificationGeneration")
	s.pass(15 * time.Minute)
	s.clock.Await(t, 15*time.Minute)
	s.server.SetError("Notify", "")
	s.reminders.Update(allLocked)
	s.server.WaitForOpen(0)
	select {
	case err := <-s.failures:
		t.Error(err)
	default:
	}
}

// What the daemon took and the person closed at once was delivered: news of the
// daemon, however late it is read, does not bring it back.
func TestDeliveryOf(t *testing.T) {
	for _, tt := range []struct {
		name     string
		byDaemon bool
		err      error
		want     delivery
	}{
		{"by the daemon", true, nil, delivered},
		{"by the fallback", false, nil, passing},
		{"no daemon", false, fmt.Errorf("cannot post: %w", ErrNoDaemon), noDaemon},
		{"hung daemon", false, ErrNoAnswer, undelivered},
	} {
		if got := deliveryOf(tt.byDaemon, tt.err); got != tt.want {
			t.Errorf("%s: deliveryOf(%v, %v) = %v, want %v", tt.name, tt.byDaemon, tt.err, got, tt.want)
		}
	}
}

func TestRemindersClosedBeforeNewsOfTheDaemonIsRead(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	clock := notifytest.NewClock(noon)
	r := &run{
		Reminders: &Reminders{Notifier: n, Clock: clock, Wall: clock.Now},
		schedule:  schedule{settings: DefaultSettings()},
	}
	r.schedule.begin(clock.Now())
	r.update(unlockedBy("rrs"))
	clock.Advance(5 * time.Minute)
	r.act(context.Background())
	// All that a starved goroutine finds at once.
	r.heard(event{kind: daemonReady})
	n.forget(SlotReminder)
	r.heard(event{kind: actionInvoked, slot: SlotReminder, action: ActionLock})
	r.heard(event{kind: closedByOther, slot: SlotReminder})
	r.act(context.Background())
	server.WaitForPosts(1)
	if at, _ := r.schedule.wake(); at.Sub(clock.Now()) != buttonTimeout {
		t.Errorf("the next is due in %v, want %v", at.Sub(clock.Now()), buttonTimeout)
	}
}
