package engine

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// Everybody can read what the lock at the end of a window waits for, from the first
// attempt to the lock.
func TestWhatABlockedEndWaitsForIsOnRecord(t *testing.T) {
	f := newTimedFixture(t)
	f.unlock(helper.Request{For: time.Minute})
	a := f.start("writes", filepath.Join(f.Root, "file"))
	expect := func(when string, r *helper.Result) {
		t.Helper()
		want := &helper.Overdue{Outcome: helper.Blocked, Error: r.Error, Writers: r.Writers}
		if got := f.status().Overdue; r.Outcome != helper.Blocked || len(r.Writers) != 1 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s, overdue is %+v, want %+v", when, r.Outcome, got, want)
		}
	}

	if r := f.run(helper.Lock); r.Outcome != helper.Blocked || f.status().Overdue != nil {
		t.Errorf("before the end: %s, overdue is %+v", r.Outcome, f.status().Overdue)
	}
	f.pass(time.Minute)
	expect("at the end", f.due())
	b := f.start("writes", filepath.Join(f.Root, "another"))
	a.stop()
	f.pass(10 * time.Second)
	expect("locked by hand", f.run(helper.Lock))

	f.unlock(helper.Request{For: time.Minute})
	if got := f.status().Overdue; got != nil {
		t.Errorf("extended: overdue is %+v", got)
	}
	f.pass(time.Minute)
	expect("at the end of the extension", f.due())
	b.stop()
	if r := f.due(); r.Outcome != helper.Done || f.status().Overdue != nil {
		t.Errorf("without a writer: %s, overdue is %+v", r.Outcome, f.status().Overdue)
	}
	f.unlock(helper.Request{UntilLocked: true})
	if got := f.status().Overdue; got != nil {
		t.Errorf("the next window: overdue is %+v", got)
	}
}

func TestAPackageManagerAtTheEndIsOnRecord(t *testing.T) {
	f := newTimedFixture(t)
	f.unlock(helper.Request{For: time.Minute})
	f.command("mount", "-t", "tmpfs", "none", "/var/lib")
	defer unix.Unmount("/var/lib", unix.MNT_DETACH)
	const lock = "/var/lib/dpkg/lock-frontend"
	writeFile(t, lock, "")
	apt := f.start("holds a dpkg lock", lock)
	f.pass(time.Minute)
	r := f.due()
	if got := f.status().Overdue; r.Outcome != helper.PackageManager || got == nil || !reflect.DeepEqual(got.Busy, r.Busy) {
		t.Errorf("%s, overdue is %+v, want held by %+v", r.Outcome, got, r.Busy)
	}
	apt.stop()
	if r := f.due(); r.Outcome != helper.Done {
		t.Errorf("when it has finished: %s %s", r.Outcome, r.Error)
	}
}

// However long an administrator lets a lock wait, the person is told in time.
func TestTheEndOfAWindowDoesNotWaitLong(t *testing.T) {
	e := &Engine{}
	for drain, want := range map[time.Duration]time.Duration{time.Second: time.Second, 10 * time.Minute: dueDrain} {
		e.Config.Drain = drain
		if got := e.drain(helper.Request{Verb: helper.Lock, Due: true}); got != want {
			t.Errorf("drain %v at the end of a window is %v, want %v", drain, got, want)
		}
		if got := e.drain(helper.Request{Verb: helper.Lock}); got != drain {
			t.Errorf("drain %v of a lock that someone asked for is %v", drain, got)
		}
	}
}

// Nor does a person's lock from before the end of the window: what it waits for is recorded
// soon after that.
func TestALockThatWaitsLongIsOverAtTheEnd(t *testing.T) {
	f := newTimedFixture(t)
	f.engine.Config.Drain = 3 * time.Minute
	f.unlock(helper.Request{For: time.Minute})
	f.start("writes", filepath.Join(f.Root, "file"))
	f.pass(time.Minute - 2*time.Second)
	began := time.Now()
	r := f.run(helper.Lock)
	if took := time.Since(began); r.Outcome != helper.Blocked || took > time.Minute {
		t.Errorf("lock: %s after %v", r.Outcome, took)
	}
	f.pass(2 * time.Second)
	if r := f.due(); r.Outcome != helper.Blocked || f.status().Overdue == nil {
		t.Errorf("at the end: %s, overdue is %+v", r.Outcome, f.status().Overdue)
	}
}
