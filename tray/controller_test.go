package tray

import (
	"errors"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/icons"
	"immutray.org/notify"
)

func done(verb helper.Verb) reply {
	return reply{Result: &helper.Result{Request: helper.Request{Verb: verb}, Outcome: helper.Done}}
}

func outcome(verb helper.Verb, o helper.Outcome, text string) reply {
	return reply{Result: &helper.Result{Request: helper.Request{Verb: verb}, Outcome: o, Error: text}}
}

func TestStateIsShownAndReminded(t *testing.T) {
	s := newStage(t, defaultSettings(), lockedAt)
	s.waitTooltip("Locked")
	s.system.set(unlockedAt)
	s.waitTooltip("Unlocked for 23 min by rrs")
	s.waitLog("remind locked", "remind unlocked")
	s.system.set(unlockedAt) // nothing new
	s.system.set(partlyAt)
	s.waitLog("remind locked", "remind unlocked", "remind partly-locked")
}

func TestTooltipFollowsTheMinutes(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.clock.Await(t, time.Minute)
	s.passTime(time.Minute)
	s.waitTooltip("Unlocked for 24 min by rrs")
	s.clock.Await(t, time.Minute)
	s.passTime(8 * time.Hour) // the machine slept
	s.waitTooltip("Unlocked for 8 h 24 min by rrs")
	s.system.set(lockedAt)
	s.waitTooltip("Locked")
	s.clock.AwaitNone(t) // a locked padlock never wakes the machine
}

// At a busy login the tray took longer than busTimeout, and the padlock kept the wrong
// picture.
func TestPictureThatWasNotTakenIsShownAgain(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.mu.Lock()
	s.blind = 2
	s.mu.Unlock()
	s.system.set(lockedAt)
	for range 2 {
		s.clock.Await(t, showAgain)
		s.passTime(showAgain)
	}
	s.waitTooltip("Locked")
	s.clock.AwaitNone(t)
}

func TestClickLocksAtOnce(t *testing.T) {
	for _, report := range []report{unlockedAt, partlyAt} {
		s := newStage(t, defaultSettings(), report)
		s.clearLog()
		s.c.Activate()
		s.waitLog("do lock")
		s.waitTooltip("Locking…")
		s.answer(done(helper.Lock), lockedAt)
		s.waitLog("do lock", "remind locked", "feedback: Locked | The operating system is read-only.")
		s.waitTooltip("Locked")
	}
}

func TestClickAsksToUnlock(t *testing.T) {
	s := newStage(t, defaultSettings(), lockedAt)
	s.clearLog()
	s.c.Activate()
	s.waitLog("do unlock")
	s.waitModel("the hourglass", func(m model) bool {
		return m.Icon == icons.Working && m.Tooltip == "Waiting for the password…"
	})
	s.answer(done(helper.Unlock), unlockedAt)
	s.waitLog("do unlock", "remind unlocked", "feedback: Unlocked | The operating system can be changed.")
}

func TestDoubleClickIsOneClick(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.clearLog()
	s.c.Activate()
	s.waitLog("do lock")
	s.answer(done(helper.Lock), lockedAt)
	s.waitTooltip("Locked")
	s.passTime(doubleClick - 1)
	s.c.Activate() // the second click of two: must not ask for the password
	s.expectLog("do lock", "remind locked", "feedback: Locked | The operating system is read-only.")
	s.passTime(1)
	s.clearLog()
	s.c.Activate()
	s.waitLog("do unlock")
}

func TestOneRequestAtATime(t *testing.T) {
	s := newStage(t, defaultSettings(), partlyAt)
	s.clearLog()
	s.c.Activate()
	s.waitLog("do lock")
	s.passTime(time.Minute)
	s.c.Activate()
	s.c.Choose("unlock")
	s.c.LockNow()
	s.expectLog("do lock")
	s.answer(done(helper.Lock), lockedAt)
	s.waitTooltip("Locked")
}

func TestMenuHasToCloseFirst(t *testing.T) {
	for id, want := range map[entryID]string{
		"lock":    "lock",
		"unlock":  "unlock until locked",
		"quarter": "unlock for 15m0s",
		"hour":    "unlock for 1h0m0s",
	} {
		s := newStage(t, defaultSettings(), partlyAt)
		s.clearLog()
		s.c.Choose(id)
		s.waitModel("the hourglass", func(m model) bool { return m.Icon == icons.Working })
		s.clock.Await(t, settle)
		s.expectLog()
		s.passTime(settle)
		s.waitLog("do " + want)
	}
}

func TestFeedbackSaysUntilWhen(t *testing.T) {
	until := testNow.Add(23 * time.Minute)
	limited := unlockedAt
	limited.Status.Window = &helper.Window{Since: testNow, Until: &until, UID: 1000, User: "rrs"}
	s := newStage(t, defaultSettings(), lockedAt)
	s.clearLog()
	s.c.Activate()
	s.waitLog("do unlock")
	s.answer(done(helper.Unlock), limited)
	s.waitLog("do unlock", "remind unlocked", "feedback: Unlocked until 14:30 | The operating system can be changed.")
	s.waitTooltip("Unlocked for less than 1 min by rrs, locks at 14:30")
}

// The button adds to what is left, as far as the administrator allows.
func TestMoreTime(t *testing.T) {
	for _, test := range []struct {
		left, most time.Duration
		want       string
	}{
		{5 * time.Minute, 0, "do unlock for 20m0s"},
		{4*time.Minute + 600*time.Millisecond, 0, "do unlock for 19m1s"},
		{-time.Minute, 0, "do unlock for 15m0s"},
		{5 * time.Minute, 18 * time.Minute, "do unlock for 18m0s"},
	} {
		until := testNow.Add(test.left)
		limited := unlockedAt
		limited.UnlockMax = test.most
		limited.Status.Window = &helper.Window{Since: testNow.Add(-time.Hour), Until: &until, UID: 1000, User: "rrs"}
		s := newStage(t, defaultSettings(), limited)
		s.clearLog()
		s.c.Extend()
		s.waitLog(test.want)
	}
	for _, report := range []report{lockedAt, unlockedAt} {
		s := newStage(t, defaultSettings(), report)
		s.clearLog()
		s.c.Extend()
		s.expectLog()
	}
}

func TestClickSettings(t *testing.T) {
	settings := defaultSettings()
	settings.Click = clickLock
	s := newStage(t, settings, lockedAt)
	s.clearLog()
	s.c.Activate()
	s.waitLog("feedback: Locked | The operating system is read-only.")
	s.system.set(unlockedAt)
	s.waitTooltip("Unlocked for 23 min by rrs")
	s.clearLog()
	s.passTime(time.Second)
	s.c.Activate()
	s.waitLog("do lock")
}

func TestClickOnTheQuestionMarkExplains(t *testing.T) {
	tests := []struct {
		name   string
		report report
		want   string
	}{
		{"not set up", report{Status: helper.Status{State: helper.Unlocked}, NotReady: []string{"no subvolume: /home", "b"}},
			"obstacle: This computer is not ready to be locked | No subvolume: /home. / B."},
		{"unknown", report{Status: helper.Status{State: helper.Unknown, Paths: []helper.PathStatus{{Path: "/", Error: "cannot read it"}}}},
			"obstacle: Immutray cannot read the state | Cannot read it."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, defaultSettings(), test.report)
			// What can't be locked needs no reminder to lock it.
			s.waitLog("remind unknown")
			s.c.Activate()
			s.waitLog("remind unknown", test.want)
		})
	}
}

func TestCancelledShowsNothing(t *testing.T) {
	s := newStage(t, defaultSettings(), lockedAt)
	s.clearLog()
	s.c.Activate()
	s.waitLog("do unlock")
	s.waitTooltip("Waiting for the password…")
	s.answer(reply{Cancelled: true}, lockedAt)
	s.waitTooltip("Locked")
	s.expectLog("do unlock")
	s.mu.Lock()
	defer s.mu.Unlock()
	if text := s.model.text(); strings.Contains(text, "What went wrong") {
		t.Errorf("the menu shows trouble:\n%s", text)
	}
}

func TestFailuresAreShown(t *testing.T) {
	tests := []struct {
		name  string
		reply reply
		want  string // in the notification
		menu  string
	}{
		{"the prompt could not be shown", reply{NoDialog: true},
			"The password prompt could not be shown. / " + client.Hint(client.ErrNoDialog), "What went wrong…"},
		{"failed", outcome(helper.Lock, helper.Failed, "cannot set the property of /: i/o error"),
			"Cannot set the property of /: i/o error.", "What went wrong…"},
		{"something else", reply{Failure: "cannot start the helper: no such file"},
			"Cannot start the helper: no such file.", "What went wrong…"},
		{"not prepared", outcome(helper.Lock, helper.NotPrepared, "cannot lock: /home would become read-only"),
			"Cannot lock: /home would become read-only.", "What went wrong…"},
		{"blocked", reply{Result: &helper.Result{Outcome: helper.Blocked, Error: "cannot lock: busy", Writers: []helper.Writer{
			{Kind: helper.WriterFile, PID: 4242, Program: "vim", Path: "/etc/fstab"}}}},
			"obstacle: Not locked", "  > (vim (4242): /etc/fstab)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, defaultSettings(), unlockedAt)
			s.clearLog()
			s.c.Activate()
			s.waitLog("do lock")
			s.answer(test.reply, unlockedAt)
			s.wait("the notification", func() bool { return len(s.log) == 2 && strings.Contains(s.log[1], test.want) })
			s.waitModel("the entry", func(m model) bool { return strings.Contains(m.text(), test.menu) })

			// Locked by other means, it is no trouble any more.
			s.clearLog()
			s.system.set(lockedAt)
			s.waitLog("remind locked", "close obstacle")
			s.waitModel("no entry", func(m model) bool { return !strings.Contains(m.text(), test.menu) })
		})
	}
}

func TestNextRequestForgetsTheLastFailure(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.clearLog()
	s.c.Activate()
	s.answer(reply{Failure: "cannot"}, unlockedAt)
	s.waitModel("the entry", func(m model) bool { return strings.Contains(m.text(), "What went wrong…") })
	s.clearLog()
	s.passTime(time.Second)
	s.c.Activate()
	s.wait("the request", func() bool { return len(s.log) == 2 })
	s.waitModel("no entry", func(m model) bool { return !strings.Contains(m.text(), "What went wrong…") })
}

func TestNotificationsThatFailAreNoHarm(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.mu.Lock()
	s.failure = notify.ErrNoDaemon
	s.mu.Unlock()
	s.c.Activate()
	s.answer(reply{Failure: "cannot"}, unlockedAt)
	s.waitModel("the entry", func(m model) bool { return strings.Contains(m.text(), "What went wrong…") })
}

func TestNoticesAreShownWithTheFeedback(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.clearLog()
	s.c.Activate()
	r := done(helper.Lock)
	r.Result.Notices = []string{"the state file could not be written"}
	s.answer(r, lockedAt)
	s.waitLog("do lock", "remind locked",
		"feedback: Locked | The operating system is read-only. / The state file could not be written.")
}

func TestTheResultIsWhatIsReadNotWhatWasAsked(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.c.Activate()
	s.answer(done(helper.Lock), partlyAt)
	s.wait("the feedback", func() bool {
		return strings.HasPrefix(s.log[len(s.log)-1], "feedback: Partly locked | Programs with open files can still write to /etc.")
	})
}

func TestSnooze(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.clearLog()
	s.c.Choose("snooze")
	s.waitLog("snooze")
	s.mu.Lock()
	s.snoozed = testNow.Add(time.Hour)
	s.mu.Unlock()
	s.c.Refresh()
	s.waitModel("the end of the snooze", func(m model) bool { return strings.Contains(m.text(), "(Reminders off until 15:07)") })
	s.c.Choose("remind")
	s.waitLog("snooze", "began")
}

func TestNoTrayIsSaidOnce(t *testing.T) {
	s := newStage(t, defaultSettings(), lockedAt)
	s.clearLog()
	s.c.TrayPresent(false)
	s.clock.Await(t, noTrayTimeout)
	s.expectLog() // at login the panel may be on its way
	s.passTime(noTrayTimeout)
	s.wait("the notification", func() bool {
		return len(s.log) == 1 && strings.HasPrefix(s.log[0], "feedback: No tray for the padlock | ")
	})
	s.c.TrayPresent(true)
	s.c.TrayPresent(false)
	s.settle()
	s.clock.AwaitNone(t)
	s.passTime(time.Hour)
	s.c.Refresh()
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) != 1 {
		t.Errorf("it was said again: %q", s.log)
	}
}

func TestAboutAndQuit(t *testing.T) {
	s := newStage(t, defaultSettings(), lockedAt)
	s.clearLog()
	s.c.Choose("about")
	s.c.Choose("quit")
	s.c.Choose("state")
	s.wait("both", func() bool { return len(s.log) == 2 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if text := strings.Join(s.log, "\n"); !strings.Contains(text, "about: Immutray 1.2.3 | ") || !strings.Contains(text, "quit") {
		t.Errorf("the log is\n%s", text)
	}
}

func TestEndWhileARequestIsUnderWay(t *testing.T) {
	s := newStage(t, defaultSettings(), lockedAt)
	s.clearLog()
	s.c.Activate()
	s.waitLog("do unlock")
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) != 1 {
		t.Errorf("the log is %q, want no more than the request", s.log)
	}
}

func TestReplyErrors(t *testing.T) {
	if err := (reply{NoDialog: true}).err(); !errors.Is(err, client.ErrCancelled) {
		t.Errorf("ErrNoDialog is no ErrCancelled; then answered need not look for it first")
	}
}
