// Package server is root's helper up to the point where the work begins: it
// makes itself independent of whoever started it, checks who asks for what, finds
// the place where the work has to be done, and answers.
//
// Started by pkexec it stands in its caller's surroundings: his cgroup (he can
// freeze and kill it there), his mount namespace, his limits. So where systemd runs
// it only checks and asks PID 1 to start a unit, whose process does the work; see
// [desk.delegate].
package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/detach"
	"immutray.org/helper/engine"
	"immutray.org/helper/inforce"
	"immutray.org/helper/journal"
	"immutray.org/helper/systemd"
)

const usage = `usage: immutray-helper lock|lock-force|unlock|seal|unseal [--config FILE]
       immutray-helper unlock [--for TIME | --until-locked] [--reason TEXT]
                              [--config FILE | --ignore-config]
       immutray-helper seal|unseal --check

Root's helper behind immutray and immutectl, which call it through pkexec.
Use "immutectl" instead.

  lock             make the protected paths read-only
  lock-force       lock although programs are writing, which may harm them
  unlock           make them writable
  seal             lock, if this boot is to be sealed
  unseal           unlock, if this boot is to come up unlocked
  --check          exit with 0 if this boot is for the verb, with 1 if not
  --config FILE    read FILE instead of ` + config.Path + `; root only
  --ignore-config  unlock although that file is refused; root only
  --for TIME       unlock for 30m, 2h and the like, then lock again
  --until-locked   unlock until someone locks
  --reason TEXT    record why, in at most 200 characters
  --after-run      lock at the end of a command of "immutectl run"; root only
  --work           do the work in this process; only for the units of Immutray
  --due            lock only if the time of an unlock is over; only for the units
  --lent           take back only the write access of commands of "immutectl run"
                   that no process watches any more; only for the units
  --on OCCASION    lock if relock_on names OCCASION, sleep or logout; only for the units

exit codes: 0 done, 1 failed, 2 usage, 3 blocked by writers, 4 not prepared,
5 package manager running, 6 configuration refused
`

// Main runs the helper with its whole command line and returns the exit code. It
// changes the process that it runs in: see package detach.
func Main(args []string, stdout, stderr io.Writer) int {
	// Nothing else of the environment means anything.
	unit, pkexecUID := systemd.OwnUnit(), pkexecUID()
	surroundings := detach.FromCaller()
	d := newDesk(stdout, stderr)
	d.unit, d.surroundings = unit, surroundings
	if isGuard(args, pkexecUID) {
		return d.guard(context.Background(), args[2:])
	}
	return d.serve(context.Background(), args, pkexecUID)
}

// newDesk returns a desk on this machine.
func newDesk(stdout, stderr io.Writer) *desk {
	d := &desk{
		stdout:     stdout,
		stderr:     stderr,
		patience:   patience,
		kept:       keptDir,
		load:       inforce.Named,
		keepConfig: inforce.Machine().Keep,
		machine:    kernel{},
		logins:     systemd.SystemLogind(),
		journal:    journal.Send,
		run:        (*engine.Engine).Run,
		reclaim:    (*engine.Engine).Reclaim,
		detach:     detach.Output,
	}
	manager := systemd.PID1(d.told.add)
	d.jobs, d.timers = manager, systemd.Timers{Manager: manager}
	return d
}

// A desk serves one command line.
type desk struct {
	stdout, stderr io.Writer
	patience       time.Duration // with who reads them
	kept           string        // the directory of what root keeps over boots
	surroundings   error         // why the caller's surroundings could not be left
	unit           systemd.Unit  // that this process runs in
	load           func(named string) (config.Config, error)
	keepConfig     func(config.Config) error // of the machine, when it was used with success
	machine        machine
	jobs           jobs
	timers         engine.Relock // of PID 1
	logins         logins
	journal        func(journal.Entry) error
	run            func(*engine.Engine, context.Context, helper.Request) *helper.Result
	reclaim        func(*engine.Engine, context.Context) *helper.Result
	detach         func() error // from who reads the answer

	told   told    // to the asker, with the answer
	keeper *keeper // of the window that this process itself has opened; may be nil
}

// serve answers one command line: handshake, work, result, exit code. Refusals are
// results too.
func (d *desk) serve(ctx context.Context, args []string, pkexecUID *string) int {
	greeted := d.say(d.stdout, helper.Handshake+"\n")
	t, err := parse(args)
	result := resultOf(t)
	// Who listens to nothing will not learn what became of his request. The boot and
	// the units do not listen, and go on.
	if greeted != nil && !t.verb.AtBoot() && !t.work {
		err = fmt.Errorf("cannot answer: %w", greeted)
	}
	if err == nil {
		err = d.admit(t, pkexecUID, &result.Request)
	}
	if err == nil && t.check {
		return d.check(t)
	}
	if err == nil && t.work {
		defer d.unit.KeepAlive()()
	}
	if err == nil {
		var done *helper.Result
		if done, err = d.handle(ctx, t, pkexecUID != nil, result.Request); err == nil {
			code := d.answer(done)
			d.keep(ctx)
			return code
		}
	}
	d.deny(result, err)
	return d.answer(result)
}

// resultOf is the result of a task that has not begun.
func resultOf(t task) *helper.Result {
	result := &helper.Result{Outcome: helper.Failed, Started: time.Now()}
	result.Request = helper.Request{Verb: t.verb, ID: newID(), For: t.unlockFor, UntilLocked: t.untilLocked, Due: t.due, AfterRun: t.afterRun, On: t.on, Reason: t.reason, IgnoreConfig: t.ignoreConfig}
	return result
}

// deny makes a result that of a task that the engine never got to see.
func (d *desk) deny(result *helper.Result, err error) {
	result.Outcome = outcomeOf(err)
	result.Error, result.Limit = err.Error(), helper.LimitOf(err)
	result.Finished = time.Now()
	d.logDenied(result)
}

// admit checks that the task may be asked for at all, and notes who asks.
func (d *desk) admit(t task, pkexecUID *string, r *helper.Request) error {
	uid, err := callerUID(pkexecUID)
	if err != nil {
		return err
	}
	r.UID, r.User = uid, userName(uid)
	if pkexecUID != nil {
		if err := t.fitForUser(); err != nil {
			return err
		}
	}
	if err := d.machine.checkRoot(pkexecUID != nil); err != nil {
		return err
	}
	return d.surroundings
}

// handle does an admitted task, or has it done. Its error means that the engine was
// not reached.
func (d *desk) handle(ctx context.Context, t task, forUser bool, r helper.Request) (*helper.Result, error) {
	c, err := d.load(t.config)
	if err != nil {
		return nil, err
	}
	switch place, err := d.placeFor(t, forUser); {
	case err != nil:
		return nil, err
	case place == inUnit:
		d.logAsked(r)
		result, err := d.delegate(ctx, c, r)
		switch {
		case isNoRoom(err) && t.verb == helper.Lock:
			return d.lockUnasked(ctx, c, r)
		case (errors.Is(err, systemd.ErrNoAnswer) || isNoRoom(err)) && d.mayLockHere(t, forUser):
			// Neither is a bus needed to lock, nor PID 1, nor room for a request.
			why := "systemd does not answer"
			if isNoRoom(err) {
				why = "there is no room in " + c.StateDir
			}
			d.told.add(why + ", so the helper locked without it")
			return d.work(ctx, d.engine(c, t, d.timers), r), nil
		}
		if result != nil {
			result.Notices = append(result.Notices, d.told.take()...)
		}
		return result, err
	}
	reclaimed := d.reclaim(d.engine(c, t, d.timers), ctx)
	switch {
	case t.lent && reclaimed == nil:
		return nothing(r, "not locked: every command of \"immutectl run\" still has its guardian"), nil
	case t.lent:
		return reclaimed, nil
	case t.work:
		return d.serveQueue(ctx, d.engine(c, t, d.timers), r)
	case t.verb.AtBoot():
		d.logAsked(r)
		return d.work(ctx, d.engine(c, t, d.timers), r), nil
	}
	d.logAsked(r)
	// PID 1 is not systemd, or the paths are not the machine's: nothing but this process
	// will be there when the window ends.
	d.keeper = &keeper{}
	d.keeper.engine = d.engine(c, t, d.keeper)
	return d.run(d.keeper.engine, ctx, r), nil
}

// mayLockHere reports whether this process may lock where a unit should: root's own does,
// in the namespace whose mounts are meant. A user could freeze his.
func (d *desk) mayLockHere(t task, forUser bool) bool {
	shares, err := d.machine.sharesMounts()
	return err == nil && shares && !forUser && (t.verb == helper.Lock || t.verb == helper.LockForce)
}

func (d *desk) engine(c config.Config, t task, r engine.Relock) *engine.Engine {
	e := &engine.Engine{Config: c, Prepared: d.prepared(t, c), Keep: d.keepConfig, Journal: d.recordFor(t), Relock: r, Units: systemd.Services{Manager: systemd.PID1(nil)}, Boot: d.machineOf(t)}
	if !t.forMachine() {
		e.Keep = nil // what was last good is another
	}
	return e
}

// recordFor returns what takes the records about a task.
func (d *desk) recordFor(t task) func(journal.Entry) {
	if t.forMachine() {
		return d.record
	}
	return func(entry journal.Entry) {
		entry.Fields[journal.Config] = t.config // its history is another
		d.record(entry)
	}
}

func outcomeOf(err error) helper.Outcome {
	var u usageError
	switch {
	case errors.As(err, &u):
		return helper.Usage
	case errors.Is(err, config.ErrRefused):
		return helper.ConfigRefused
	}
	return helper.Failed
}

// newID returns 128 random bits. crypto/rand.Read never fails.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
