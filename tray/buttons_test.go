package tray

import (
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/notify"
)

const (
	toldBlocked  = "obstacle: Not locked yet: files open | The system locks when these are closed: / vim is writing to /etc/fstab"
	toldQuestion = "obstacle: Lock anyway? | These may crash or lose unsaved data: / vim is writing to /etc/fstab"
	toldBusy     = "obstacle: apt is installing packages | Locking now would leave packages half installed."
	toldWaiting  = "obstacle: Locks when apt is done | "
	toldLocked   = "feedback: Locked | The operating system is read-only."
)

// press presses a button of the notification.
func (s *stage) press(action string) { s.c.Act(notify.SlotObstacle, action) }

// One notification follows the lock that PID 1 tries, until it is done.
func TestABlockedEndIsTold(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.clearLog()
	s.system.set(overdue(blockedBy(vim)))
	s.waitLog("remind unlocked", toldBlocked)
	s.system.set(overdue(blockedBy(vim))) // tried again, with the same in the way
	ed := helper.Writer{Kind: helper.WriterFile, PID: 7, Program: "ed", Path: "/etc/hosts"}
	s.clearLog()
	s.system.set(overdue(blockedBy(ed)))
	s.waitLog("remind unlocked", "obstacle: Not locked yet: files open | The system locks when these are closed: / ed is writing to /etc/hosts")
	s.clearLog()
	s.system.set(lockedAt)
	s.waitLog("remind locked", "close obstacle")
	s.waitTooltip("Locked")
}

func TestABlockedEndThatIsExtendedIsNoProblem(t *testing.T) {
	s := newStage(t, defaultSettings(), overdue(blockedBy(vim)))
	s.waitLog("remind unlocked", toldBlocked)
	s.system.set(unlockedAt)
	s.waitLog("remind unlocked", toldBlocked, "remind unlocked", "close obstacle")
}

func TestTryAgain(t *testing.T) {
	s := newStage(t, defaultSettings(), overdue(blockedBy(vim)))
	s.clearLog()
	s.press(notify.ActionRetry)
	s.wait("the request", func() bool { return len(s.log) == 2 }) // and the notification closed
	s.clearLog()
	s.answer(reply{Result: &helper.Result{Outcome: helper.Blocked, Error: "cannot lock: busy", Writers: []helper.Writer{vim}}}, overdue(blockedBy(vim)))
	const again = "obstacle: Not locked: files in use | Close these, then lock again: / vim is writing to /etc/fstab"
	s.waitLog(again)

	// What the timer finds later is newer than that answer.
	ed := helper.Writer{Kind: helper.WriterFile, PID: 7, Program: "ed", Path: "/etc/hosts"}
	s.system.set(overdue(blockedBy(ed)))
	s.waitLog(again, "remind unlocked", "obstacle: Not locked yet: files open | The system locks when these are closed: / ed is writing to /etc/hosts")
}

func TestLockAnywayAsksOnceMore(t *testing.T) {
	forced := overdue(blockedBy(vim))
	forced.Status.State, forced.Status.Paths = helper.PartlyLocked, partlyAt.Status.Paths

	s := newStage(t, defaultSettings(), overdue(blockedBy(vim)))
	s.clearLog()
	s.press(notify.ActionSure) // of a notification that is none any more
	s.c.Choose("sure")
	s.expectLog()
	s.press(notify.ActionForce)
	s.waitLog(toldQuestion)
	s.press(notify.ActionCancel)
	s.waitLog(toldQuestion, toldBlocked)

	s.clearLog()
	s.c.Choose("force")
	s.waitLog(toldQuestion)
	s.clearLog()
	s.press(notify.ActionSure)
	s.wait("the request", func() bool { return len(s.log) == 2 && (s.log[0] == "do lock-force" || s.log[1] == "do lock-force") })
	s.waitTooltip("Waiting for the password…")
	s.clearLog()
	done := done(helper.LockForce)
	done.Result.Notices = []string{`what is open on "/etc" can still be written to, by "vim" (pid 4242, "/etc/fstab")`}
	s.answer(done, forced)
	s.waitLog("remind partly-locked", "feedback: Partly locked | Programs with open files can still write to /etc. / "+
		`What is open on "/etc" can still be written to, by "vim" (pid 4242, "/etc/fstab").`)
	s.expectLog(s.log...) // and nothing of the lock that is still tried
}

func TestTheMenuForcesAfterItHasClosed(t *testing.T) {
	s := newStage(t, defaultSettings(), overdue(blockedBy(vim)))
	s.c.Choose("force")
	s.settle()
	s.clearLog()
	s.c.Choose("sure")
	s.waitLog("close obstacle")
	s.clock.Await(t, settle)
	s.passTime(settle)
	s.waitLog("close obstacle", "do lock-force")
}

// busy brings a stage to where a package manager has kept it from locking.
func busy(t *testing.T) *stage {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.clearLog()
	s.c.Activate()
	s.waitLog("do lock")
	r := outcome(helper.Lock, helper.PackageManager, "cannot lock: dpkg is running")
	r.Result.Busy = apt
	s.answer(r, unlockedAt)
	s.waitLog("do lock", toldBusy)
	s.clearLog()
	return s
}

// look waits until the controller waits for its next look, and lets that come.
func (s *stage) look() {
	s.t.Helper()
	s.clock.Await(s.t, busyEvery)
	s.passTime(busyEvery)
}

func (s *stage) installed() {
	s.system.mu.Lock()
	defer s.system.mu.Unlock()
	s.system.idle = true
}

func TestLockWhenAptIsDone(t *testing.T) {
	for name, begin := range map[string]func(*stage){
		"by the button": func(s *stage) { s.press(notify.ActionWait) },
		"by the menu":   func(s *stage) { s.c.Choose("wait") },
	} {
		t.Run(name, func(t *testing.T) {
			s := busy(t)
			begin(s)
			s.waitLog(toldWaiting)
			for range 3 {
				s.look()
			}
			s.expectLog(toldWaiting)
			s.installed()
			s.look()
			s.wait("the request", func() bool { return len(s.log) == 3 })
			s.clearLog()
			s.answer(done(helper.Lock), lockedAt)
			s.waitLog("remind locked", toldLocked)
			s.clock.AwaitNone(t)
		})
	}
}

func TestWaitingForAptEnds(t *testing.T) {
	for name, end := range map[string]func(*stage){
		"by the button":    func(s *stage) { s.press(notify.ActionCancel) },
		"by the menu":      func(s *stage) { s.c.Choose("unwait") },
		"locked elsewhere": func(s *stage) { s.system.set(lockedAt) },
	} {
		t.Run(name, func(t *testing.T) {
			s := busy(t)
			s.press(notify.ActionWait)
			s.waitLog(toldWaiting)
			end(s)
			s.wait("the end of the wait", func() bool { return s.log[len(s.log)-1] == "close obstacle" })
			s.clearLog()
			s.installed()
			s.passTime(time.Minute)
			s.expectLog()
		})
	}
}

// A person who asks for more time does not want a lock in the middle of it.
func TestWaitingForAptEndsWithAnUnlock(t *testing.T) {
	s := busy(t)
	s.press(notify.ActionWait)
	s.waitLog(toldWaiting)
	s.clearLog()
	s.c.Extend() // of a window without an end: nothing
	s.c.Choose("hour")
	s.waitLog("close obstacle")
	s.clock.Await(t, settle)
	s.passTime(settle)
	s.waitLog("close obstacle", "do unlock for 1h0m0s")
	s.answer(done(helper.Unlock), unlockedAt)
	s.wait("the feedback", func() bool { return len(s.log) == 3 })
	s.clearLog()
	s.installed()
	s.passTime(time.Minute)
	s.expectLog()
}

// A password is never asked for without a click: one that is refused ends the wait.
func TestWaitingForAptEndsWithAnyOtherAnswer(t *testing.T) {
	s := busy(t)
	s.press(notify.ActionWait)
	s.installed()
	s.look()
	s.wait("the request", func() bool { return len(s.log) == 3 })
	s.clearLog()
	s.answer(reply{Cancelled: true}, unlockedAt)
	s.waitTooltip("Unlocked for 23 min by rrs")
	s.passTime(time.Minute)
	s.expectLog()
}

// Where the end can't be seen, it can't be waited for.
func TestAPackageManagerThatCannotBeWatched(t *testing.T) {
	s := newStage(t, defaultSettings(), unlockedAt)
	s.installed()
	s.clearLog()
	s.c.Activate()
	r := outcome(helper.Lock, helper.PackageManager, "cannot lock: dpkg is running")
	r.Result.Busy = apt
	s.answer(r, unlockedAt)
	s.waitLog("do lock", "obstacle: Locking failed | Cannot lock: dpkg is running. / "+client.Hint(r.err()))
}

func TestTheEndOfTheAppletClosesWhatItAsks(t *testing.T) {
	s := newStage(t, defaultSettings(), overdue(blockedBy(vim)))
	s.clearLog()
	s.end()
	s.waitLog("close obstacle")
}
