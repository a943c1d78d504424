// Package engine carries out locks and unlocks, and gives the commands of "immutectl run" their
// write access and takes it back. It alone changes the properties, the superblocks, and the
// mount flags that programs already see.
//
// A lock sets the mount flags first. The kernel refuses that while a file is open for writing
// through the mount, and then changes nothing: no program is harmed, and no package is left
// half unpacked. Only behind that barrier is the property set, through a detached clone of the
// mount. An unlock clears the property first, and then the flags. For a command, only the
// property is cleared. Every step can be repeated: after a kill at any point, the next request
// completes the work. At no moment is anything made read-only that does not belong to a
// protected path.
package engine

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/boot"
	"immutray.org/helper/bound"
	"immutray.org/helper/config"
	"immutray.org/helper/journal"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/protected"
	"immutray.org/helper/run/records"
	"immutray.org/helper/statefile"
	"immutray.org/helper/writers"
)

const (
	// retryEvery is how often a busy mount is tried again.
	retryEvery = 50 * time.Millisecond
)

// An Engine carries out requests. It must run as root, in the mount namespace that is to be
// locked.
type Engine struct {
	// Config is the configuration in force; see package inforce. If its file is refused, an
	// unlock and a command of "immutectl run" are refused too.
	Config config.Config
	// Prepared is the file that records which lock was allowed last; see islands.Record. If it
	// is "", the machine never counts as prepared.
	Prepared string
	// Keep records a configuration that was used with success. It may be nil.
	Keep func(config.Config) error
	// Journal takes a record of every change; it must not block. It may be nil.
	Journal func(journal.Entry)
	// Timer locks when a window ends. Without it no window with an end can be opened.
	Timer Timer
	// Units describes which mounts services want to be read-only. Without it, the mounts of
	// services that were started while the system was locked stay read-only.
	Units Units
	// Boot is the machine that boots. The zero value has no updates, and counts no boots.
	Boot boot.Machine

	clock   clock            // the zero value is the machine's
	scanner *writers.Scanner // made at the first search for writers
}

// Run carries out one request, after those that came before it, and returns how it ended. The
// result's state is read from the kernel before the next request starts. When ctx ends, a lock
// stops waiting for writers; what was begun is completed.
func (e *Engine) Run(ctx context.Context, request helper.Request) *helper.Result {
	result := &helper.Result{Request: request, Outcome: helper.Failed, Started: time.Now()}
	// One thread makes every change, so that a trace is in order, and so that strace, which
	// counts per thread, can make any one call fail.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	skipped, err := e.atBoot(&result.Request)
	switch {
	case err != nil:
	case skipped != "":
		e.skip(result, skipped)
	default:
		rank := ordinary
		if request.Verb == helper.LockForce {
			rank = urgent
		}
		err = e.inTurnOf(ctx, rank, func() error { return e.carryOut(ctx, result) })
	}
	if err != nil {
		fail(result, err)
	}
	bound.Result(result)
	if result.Finished.IsZero() {
		result.Finished = time.Now()
	}
	return result
}

// carryOut carries out one request, whose turn it is.
func (e *Engine) carryOut(ctx context.Context, result *helper.Result) error {
	recorded, unread := statefile.Read(e.Config.StateDir)
	if unread != nil {
		// That loses only who unlocked, when and for how long; the next write replaces it.
		result.Notices = append(result.Notices, unread.Error())
	}
	if result.Request.Due && unread == nil && e.lasts(recorded) {
		return e.putOff(ctx, result, recorded)
	}
	t := openTargets(e.Config, recorded)
	defer t.close()
	err := e.mayUse(t, result.Request, recorded)
	if err != nil && result.Request.Verb == helper.Unseal && e.nothingToUnlock(err) {
		e.skip(result, "not unlocked: nothing is locked")
		return nil
	}
	if err != nil {
		return err
	}
	before := e.read(t.statuses(), recorded.Window)
	result.Before = &before
	unasked := result.Request.On != "" || result.Request.Due && unread == nil && recorded.Deadline == nil
	if unasked && before.State == helper.Locked {
		e.nothingDone(result, &before, "it is locked already")
		return nil
	}
	if around, within := e.runAround(); within && result.Request.Verb == helper.Unlock {
		return fmt.Errorf("cannot %s the system from within %s: %w", result.Request.Verb, commands([]helper.Run{around}), errWithin)
	}
	e.logIntent(result)
	if before.ConfigError != "" {
		result.Notices = append(result.Notices, before.ConfigError+helper.UsedInstead)
	}

	next := statefile.State{Window: before.Window, Deadline: recorded.Deadline, Opened: recorded.Opened, Overdue: recorded.Overdue, StillReadOnly: recorded.StillReadOnly, Seal: recorded.Seal}
	if result.Request.Verb.AtBoot() {
		next = statefile.State{Opened: recorded.Opened} // a boot forgets the window
	}
	err = e.do(ctx, t, result, &next)
	if err == nil {
		e.tellOfUpdate(result)
	}
	armed := unread != nil || recorded.Deadline != nil || next.Deadline != nil || result.Request.Verb == helper.Unlock
	e.conclude(t, result, &next, err)
	e.keep(result)
	opened := result.Outcome == helper.Done && result.Request.Verb == helper.Unlock
	if armed && (result.Status.State == helper.Locked || opened) {
		e.disarm(ctx, result, next.Deadline)
	}
	e.logOutcome(result)
	return nil
}

// do carries out the verb. next is what will be recorded of the window; an unlock changes it.
func (e *Engine) do(ctx context.Context, t *targets, result *helper.Result, next *statefile.State) error {
	switch result.Request.Verb {
	case helper.Lock:
		ctx, cancel := e.untilOverdue(ctx, next.Deadline)
		defer cancel()
		return t.told(e.lock(ctx, t.paths, result), result)
	case helper.LockForce:
		return t.told(e.lockForce(ctx, t.paths, result), result)
	case helper.Unlock, helper.Unseal:
		return e.unlock(ctx, t.ours(), result, next)
	case helper.Seal:
		e.countBoot(t.paths, result)
		return t.told(e.seal(ctx, t.paths, result), result)
	}
	return fmt.Errorf("internal error: unknown verb %q", result.Request.Verb)
}

// verified compares what the kernel says now with what was wanted.
func verified(err error, paths []*protected.Path, want helper.State) error {
	if err != nil {
		return err
	}
	for _, p := range paths {
		if got := p.Status().State; got != want {
			return fmt.Errorf("%q should be %s now, but is %s", p.Name, want, got)
		}
	}
	return nil
}

// conclude decides the outcome and records the result. An unlock that can't be recorded is
// undone. For other verbs, that is only a notice.
func (e *Engine) conclude(t *targets, result *helper.Result, next *statefile.State, err error) {
	result.Outcome = helper.Done
	if err != nil {
		fail(result, err)
	}
	err = e.leave(t, result, next)
	switch {
	case err == nil:
		return
	case result.Outcome != helper.Done:
		result.Notices = append(result.Notices, err.Error())
		return
	case result.Request.Verb == helper.Unlock:
		err = join(err, e.rollBack(t.ours(), result.Before))
	}
	fail(result, err)
	_ = e.leave(t, result, next) // the error is in the result already
}

// leave writes the present state into the result and into next, and records that.
func (e *Engine) leave(t *targets, result *helper.Result, next *statefile.State) error {
	now := e.read(t.statuses(), next.Window)
	result.Status = &now
	result.Finished = time.Now()
	switch {
	case now.State == helper.Locked:
		next.Deadline, next.StillReadOnly = nil, nil
	case result.Request.Due && next.Deadline == nil:
		next.Deadline = e.overSince()
	}
	if result.Request.Verb == helper.Seal {
		next.Seal = &statefile.Seal{Outcome: result.Outcome, Finished: result.Finished}
	}
	next.Opened = stillOpen(next.Opened, now)
	now.StillReadOnly = next.StillReadOnly
	bound.Result(result)
	next.Window, next.Last = now.Window, result
	next.Overdue = e.overdue(result, *next)
	return statefile.Write(e.Config.StateDir, *next)
}

func (e *Engine) read(paths []helper.PathStatus, window *helper.Window) helper.Status {
	status := helper.Status{Paths: paths}
	status.ConfigError = config.Refusal(e.Config.Refused)
	found, _ := records.List(e.Config.StateDir) // unreadable records are among them
	for i, r := range found {
		found[i] = r.Named() // because everyone may read the state file
	}
	status.SetRuns(found)
	status.Window = lockstate.ShownWindow(status.State, window)
	return status
}

func statuses(paths []*protected.Path) []helper.PathStatus {
	var all []helper.PathStatus
	for _, p := range paths {
		all = append(all, p.Status())
	}
	return all
}

func closePaths(paths []*protected.Path) {
	for _, p := range paths {
		p.Close()
	}
}

// sleep waits for d and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
