package tray

import (
	"testing"
	"time"

	"immutray.org/helper"
)

var (
	vim       = helper.Writer{Kind: helper.WriterFile, PID: 4242, Program: "vim", Path: "/etc/fstab"}
	apt       = &helper.Busy{Manager: "dpkg", Lock: "/var/lib/dpkg/lock-frontend", PID: 99, Program: "apt"}
	blockedBy = func(writers ...helper.Writer) *helper.Overdue {
		return &helper.Overdue{Outcome: helper.Blocked, Error: "cannot lock: busy", Writers: writers}
	}
)

// overdue is a window that should have ended three minutes ago.
func overdue(o *helper.Overdue) report {
	r := unlockedAt
	until := testNow.Add(-3 * time.Minute)
	w := *r.Status.Window
	w.Until = &until
	r.Status.Window, r.Status.Overdue = &w, o
	return r
}

// notEnded is the end of a run whose write access could not be ended yet.
var notEnded = report{Status: helper.Status{
	State:   helper.PartlyLocked,
	Paths:   []helper.PathStatus{{Path: "/", State: helper.MountOnly, Property: helper.Writable, Mount: helper.ReadOnly}},
	Overdue: &helper.Overdue{Outcome: helper.Failed, Error: "cannot lock \"/\": cannot set the property: i/o error"},
}}

func isBusyAlways(helper.Busy) bool { return true }
func isBusyNever(helper.Busy) bool  { return false }

func TestObstacleIsDroppedOnceItIsMadeGood(t *testing.T) {
	for name, test := range map[string]struct {
		failure failure
		now     report
		stays   bool
	}{
		"a lock that failed, still unlocked":      {failure{Verb: helper.Lock}, unlockedAt, true},
		"a lock that failed, locked now":          {failure{Verb: helper.Lock}, lockedAt, false},
		"an unlock that failed, still locked":     {failure{Verb: helper.Unlock}, lockedAt, true},
		"an unlock that failed, unlocked now":     {failure{Verb: helper.Unlock}, unlockedAt, false},
		"a restart that failed":                   {failure{Restart: true}, unlockedAt, true},
		"a lock that failed, and the timer's too": {failure{Verb: helper.Lock}, overdue(blockedBy(vim)), true},
		"the timer has found something newer":     {failure{Verb: helper.Lock, Blocked: true}, overdue(blockedBy(vim)), false},
	} {
		o := obstacle{Failure: &test.failure}
		if o.observed(unlockedAt, test.now); (o.Failure != nil) != test.stays {
			t.Errorf("%s: the failure stays: %v, want %v", name, o.Failure != nil, test.stays)
		}
	}
	failed, blocked := obstacle{Failure: &failure{}}, obstacle{Failure: &failure{Blocked: true}}
	failed.restarting()
	blocked.restarting()
	if failed.Failure != nil || blocked.Failure == nil {
		t.Errorf("after a restart the failures are %v and %v, want only the one that keeps the system from being locked", failed.Failure, blocked.Failure)
	}
}

func TestObstacleAsksOnlyWhileSomethingIsInTheWay(t *testing.T) {
	var o obstacle
	if o.ask(unlockedAt.Status); o.Sure {
		t.Error("it asks about nothing")
	}
	late := overdue(blockedBy(vim))
	if o.ask(late.Status); !o.Sure {
		t.Error("it does not ask about what blocks the end of the window")
	}
	if o.observed(late, unlockedAt); o.Sure {
		t.Error("it asks although the window was extended")
	}
	o = obstacle{Sure: true, Failure: &failure{Blocked: true}}
	if o.requested(); o.Sure || o.Failure != nil {
		t.Errorf("after the next request it is %+v", o)
	}
}

func TestObstacleWaits(t *testing.T) {
	o := obstacle{Failure: &failure{Busy: apt}}
	if o.await(testNow); o.Awaited != apt || o.Failure != nil {
		t.Fatalf("waiting, it is %+v", o)
	}
	soon, later := testNow.Add(busyEvery), testNow.Add(2*busyEvery)
	if o.hasEnded(soon.Add(-1), isBusyNever) {
		t.Error("it looked too early")
	}
	if o.hasEnded(soon, isBusyAlways) || o.hasEnded(later.Add(-1), isBusyNever) {
		t.Error("what is busy has ended, or it looked again too early")
	}
	if !o.hasEnded(later, isBusyNever) {
		t.Error("it does not see the end")
	}
	next := &helper.Busy{Manager: "dpkg", PID: 100}
	if !o.answered(later, &helper.Result{Busy: next}, isBusyAlways) || o.Awaited != next {
		t.Error("it does not wait for the next one")
	}
	if o.answered(later, &helper.Result{Busy: next}, isBusyNever) || o.Awaited != nil {
		t.Error("it waits for one that cannot be watched")
	}
	o.Awaited = apt
	if o.observed(unlockedAt, lockedAt); o.Awaited != nil {
		t.Error("it waits although the system is locked")
	}
}
