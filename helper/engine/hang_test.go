package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// What any user can do: a process that makes everyone hang who looks into it. A lock has
// to say so in time, and by force it passes it over.
func TestAProcessThatHangsIsNamedInTime(t *testing.T) {
	f := newTimedFixture(t)
	f.must(helper.Unlock)
	server, pids := lab.HangInExec(t, t.TempDir(), 1)
	inTime := func(what string, do func() *helper.Result) *helper.Result {
		t.Helper()
		begin := time.Now()
		r := do()
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("%s took %v", what, took)
		}
		return r
	}
	named := func(what string, r *helper.Result) {
		t.Helper()
		if len(r.Writers) != 1 || r.Writers[0].PID != pids[0] || r.Writers[0].Kind != helper.WriterUnknown || r.Writers[0].User != "root" {
			t.Errorf("%s = %s, writers %+v, want the one that hangs", what, r.Outcome, r.Writers)
		}
	}
	refused := func(what string, do func() *helper.Result) {
		t.Helper()
		r := inTime(what, do)
		named(what, r)
		if r.Outcome != helper.Blocked || !strings.Contains(r.Error, "cannot be inspected") {
			t.Errorf("%s = %s: %s", what, r.Outcome, r.Error)
		}
		f.expect("after "+what, helper.Unlocked)
	}
	lock := func() *helper.Result { return f.run(helper.Lock) }

	refused("lock", lock)
	r := inTime("lock by force", func() *helper.Result { return f.must(helper.LockForce) })
	named("lock by force", r)
	if len(r.Notices) != 2 || !strings.Contains(r.Notices[0], "cannot be inspected") {
		t.Errorf("by force: notices %q, want one for each path", r.Notices)
	}
	f.expect("by force", helper.Locked)
	f.must(helper.Unlock)

	f.start("writes", f.Root+"/file") // so that the kernel refuses the barrier
	r = inTime("lock with a writer", lock)
	if r.Outcome != helper.Blocked || len(r.Writers) != 2 {
		t.Errorf("lock with a writer = %s, writers %+v, want it and who hangs", r.Outcome, r.Writers)
	}

	f.unlock(helper.Request{For: time.Minute})
	f.pass(time.Minute)
	if r := inTime("the lock at the end", f.due); r.Outcome != helper.Blocked {
		t.Errorf("the lock at the end = %s: %s", r.Outcome, r.Error)
	}
	if o := f.status().Overdue; o == nil || len(o.Writers) != 2 {
		t.Errorf("overdue is %+v, want who is in the way", o)
	}

	server.Release(t)
}

// A disk that was slow has used up the drain time; the look has its own all the same.
func TestTheLookHasItsTimeAfterASlowDisk(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Minute))
	defer cancel()
	look, cancel := searchContext(ctx)
	defer cancel()
	if end, _ := look.Deadline(); time.Until(end) < searchTimeout-time.Second {
		t.Errorf("the look has %v, want %v", time.Until(end), searchTimeout)
	}
}
