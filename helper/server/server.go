// Package server is the process of root's helper: it checks what is asked for and by whom,
// decides which process does the work, and answers.
//
// pkexec starts it in the caller's cgroup, where the caller can freeze and kill it, and in
// the caller's mount namespace. So where systemd is PID 1, this process only checks, and asks
// PID 1 to start a unit, whose process does the work; see [server.delegate].
package server

import (
	"context"
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
	"immutray.org/helper/recent"
	"immutray.org/helper/systemd"
)

// Main runs the helper with its whole command line and returns the exit code. It
// changes the process that it runs in: see package detach.
func Main(args []string, stdout, stderr io.Writer) int {
	// Nothing else of the environment means anything.
	unit, pkexecUID := systemd.OwnUnit(), pkexecUID()
	surroundings := detach.FromCaller()
	s := newServer(stdout, stderr)
	s.unit, s.surroundings = unit, surroundings
	if isGuard(args, pkexecUID) {
		return s.guard(context.Background(), args[2:])
	}
	return s.serve(context.Background(), args, pkexecUID)
}

// newServer returns a server on this machine.
func newServer(stdout, stderr io.Writer) *server {
	s := &server{
		stdout:       stdout,
		stderr:       stderr,
		writeTimeout: writeTimeout,
		kept:         keptDir,
		load:         inforce.Named,
		keepConfig:   inforce.Machine().Keep,
		machine:      kernel{},
		logins:       systemd.SystemLogind(),
		journal:      journal.Send,
		keepRecord:   recent.Keep,
		run:          (*engine.Engine).Run,
		reclaim:      (*engine.Engine).Reclaim,
		detach:       detach.Output,
	}
	manager := systemd.PID1(s.notices.add)
	s.jobs, s.timers = manager, systemd.Timers{Manager: manager}
	return s
}

// A server serves one command line.
type server struct {
	stdout, stderr io.Writer
	writeTimeout   time.Duration
	kept           string       // the directory of what root keeps over boots
	surroundings   error        // why the caller's surroundings could not be left
	unit           systemd.Unit // that this process runs in
	load           func(named string) (config.Config, error)
	keepConfig     func(config.Config) error // of the machine, when it was used with success
	machine        machine
	jobs           jobs
	timers         engine.Timer // of PID 1
	logins         logins
	journal        func(journal.Entry) error
	keepRecord     func(stateDir string, e journal.Entry) error // for those who can't read the journal
	run            func(*engine.Engine, context.Context, helper.Request) *helper.Result
	reclaim        func(*engine.Engine, context.Context) *helper.Result
	detach         func() error // from the readers of the output

	notices notices // that the next result takes
	keeper  *keeper // of the window that this process itself has opened; may be nil
}

// serve serves one command line: handshake, work, result, exit code. Refusals are results
// too.
func (s *server) serve(ctx context.Context, args []string, pkexecUID *string) int {
	greeted := s.say(s.stdout, helper.Handshake+"\n")
	call, err := helper.ParseCommandLine(args)
	call.ID = helper.NewID()
	result := begun(call.Request)
	// Without a reader the caller would never learn the result. Units and the boot have
	// none by design.
	if greeted != nil && !call.Verb.AtBoot() && !call.Work {
		err = fmt.Errorf("cannot answer: %w", greeted)
	}
	if err == nil {
		err = s.admit(&call, pkexecUID)
		result.Request = call.Request
	}
	if err == nil && call.Check {
		return s.check(call)
	}
	if err == nil && call.Work {
		defer s.unit.KeepAlive()()
	}
	if err == nil {
		var done *helper.Result
		if done, err = s.handle(ctx, call, pkexecUID != nil); err == nil {
			code := s.answer(done)
			s.keep(ctx)
			return code
		}
	}
	s.deny(result, err)
	return s.answer(result)
}

// begun is the result of a request that is not served yet.
func begun(r helper.Request) *helper.Result {
	return &helper.Result{Request: r, Outcome: helper.Failed, Started: time.Now()}
}

// deny makes a result that of a request that the engine has not received.
func (s *server) deny(result *helper.Result, err error) {
	result.Outcome = outcomeOf(err)
	result.Error, result.Limit = err.Error(), helper.LimitOf(err)
	result.Finished = time.Now()
	s.logDenied(result)
}

// admit checks that the caller may ask for it, and notes in the request who asks.
func (s *server) admit(call *helper.CommandLine, pkexecUID *string) error {
	uid, err := callerUID(pkexecUID)
	if err != nil {
		return err
	}
	call.UID, call.User = uid, userName(uid)
	if pkexecUID != nil {
		if err := fitForUser(*call); err != nil {
			return err
		}
	}
	if err := s.machine.checkRoot(pkexecUID != nil); err != nil {
		return err
	}
	return s.surroundings
}

// handle serves an admitted request, or has a unit serve it. Its error means that the
// engine has not received the request.
func (s *server) handle(ctx context.Context, call helper.CommandLine, forUser bool) (*helper.Result, error) {
	c, err := s.load(call.Config)
	if err != nil {
		return nil, err
	}
	switch byUnit, err := s.isForUnit(call, forUser); {
	case err != nil:
		return nil, err
	case byUnit:
		s.logAsked(call.Request)
		return s.haveUnitServe(ctx, c, call, forUser)
	}
	reclaimed := s.reclaim(s.engine(c, call.Config, s.timers), ctx)
	switch {
	case call.Lent && reclaimed == nil:
		return nothing(call.Request, "not locked: every command of \"immutectl run\" still has its guardian"), nil
	case call.Lent:
		return reclaimed, nil
	case call.Work:
		return s.serveAsUnit(ctx, s.engine(c, call.Config, s.timers), call.Request)
	case call.Verb.AtBoot():
		s.logAsked(call.Request)
		return s.work(ctx, s.engine(c, call.Config, s.timers), call.Request), nil
	}
	s.logAsked(call.Request)
	// PID 1 is not systemd, or the paths are not the machine's: only this process can lock
	// when the window ends.
	s.keeper = &keeper{}
	s.keeper.engine = s.engine(c, call.Config, s.keeper)
	return s.run(s.keeper.engine, ctx, call.Request), nil
}

// haveUnitServe delegates a request. A lock of root's needs neither a bus, nor PID 1, nor
// room for a request: where one of them is missing, this process does it.
func (s *server) haveUnitServe(ctx context.Context, c config.Config, call helper.CommandLine, forUser bool) (*helper.Result, error) {
	result, err := s.delegate(ctx, c, call.Request)
	switch {
	case isNoRoom(err) && call.Verb == helper.Lock:
		return s.lockUnasked(ctx, c, call.Request)
	case (errors.Is(err, systemd.ErrNoAnswer) || isNoRoom(err)) && s.mayLockHere(call.Verb, forUser):
		why := "systemd does not answer"
		if isNoRoom(err) {
			why = "there is no room in " + c.StateDir
		}
		s.notices.add(why + ", so the helper locked without systemd")
		return s.work(ctx, s.engine(c, call.Config, s.timers), call.Request), nil
	}
	if result != nil {
		result.Notices = append(result.Notices, s.notices.take()...)
	}
	return result, err
}

// mayLockHere reports whether this process may lock where a unit should: if root has
// started it, in the namespace whose mounts are meant. A user could freeze it.
func (s *server) mayLockHere(verb helper.Verb, forUser bool) bool {
	shares, err := s.machine.sharesMounts()
	return err == nil && shares && !forUser && (verb == helper.Lock || verb == helper.LockForce)
}

// work has the engine serve a request. The result takes the notices of the server.
func (s *server) work(ctx context.Context, e *engine.Engine, r helper.Request) *helper.Result {
	result := s.run(e, ctx, r)
	result.Notices = append(result.Notices, s.notices.take()...)
	return result
}

// engine returns the engine for the configuration of a command line; file is what that
// names.
func (s *server) engine(c config.Config, file string, timer engine.Timer) *engine.Engine {
	e := &engine.Engine{
		Config:   c,
		Prepared: s.prepared(file, c),
		Keep:     s.keepConfig,
		Journal:  s.recordFor(file, c),
		Timer:    timer,
		Units:    systemd.Services{Manager: systemd.PID1(nil)},
		Boot:     s.machineOf(file),
	}
	if !isMachines(file) {
		e.Keep = nil // the last good configuration is the machine's
	}
	return e
}

func outcomeOf(err error) helper.Outcome {
	var usage helper.UsageError
	switch {
	case errors.As(err, &usage):
		return helper.Usage
	case errors.Is(err, config.ErrRefused):
		return helper.ConfigRefused
	}
	return helper.Failed
}
