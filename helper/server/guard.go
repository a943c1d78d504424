package server

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/inhibit"
	"immutray.org/helper/journal"
	"immutray.org/helper/run/guardian"
	"immutray.org/helper/run/wire"
	"immutray.org/helper/systemd"
)

// commName is what a guardian is called, within the 15 bytes of a thread's name
// (proc_pid_comm(5)). Killing every immutray-helper by name does not kill it.
const commName = "immutray-guard"

// isGuard reports whether the runner of "immutectl run" has started this process as its
// guardian. For a caller of pkexec there is no such verb: it is refused as an unknown one.
func isGuard(args []string, pkexecUID *string) bool {
	return pkexecUID == nil && len(args) > 1 && args[1] == wire.Guard
}

// guard serves a runner as its guardian, and returns the exit code. args are what follows the
// verb.
func (s *server) guard(ctx context.Context, args []string) int {
	file, err := parseGuard(args)
	if err == nil {
		err = s.machine.checkRoot(false)
	}
	if err == nil {
		err = s.surroundings
	}
	if err == nil {
		err = s.serveRunner(ctx, file)
	}
	if err == nil {
		return helper.ExitDone
	}
	_ = s.say(s.stderr, "immutray-helper: error: "+err.Error()+"\n")
	return outcomeOf(err).ExitCode()
}

// parseGuard reads what follows the verb of a guardian: the configuration file, or nothing.
func parseGuard(args []string) (file string, err error) {
	switch {
	case len(args) == 0:
		return "", nil
	case len(args) == 2 && args[0] == "--config" && len(args[1]) > 0 && args[1][0] == '/':
		return args[1], nil
	}
	return "", helper.UsageError("cannot guard a command: unexpected argument " + helper.QuoteArgument(args[0]))
}

func (s *server) serveRunner(ctx context.Context, file string) error {
	conn, err := wire.Inherited()
	if err != nil {
		return fmt.Errorf("cannot guard a command: only \"immutectl run\" can start a guardian: %w", err)
	}
	_ = os.WriteFile("/proc/self/comm", []byte(commName), 0)
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM)
	defer stop()
	g := &guardian.Guardian{
		Engine: func(c config.Config) *engine.Engine {
			return &engine.Engine{Config: c, Prepared: s.prepared(file, c), Journal: s.recordFor(file, c)}
		},
		Asked: func(c config.Config, run helper.Run, parent int) {
			s.recordFor(file, c)(askedToRun(c, run, parent))
		},
		Helper:  rootsOwn{file},
		Leave:   systemd.LeaveCgroup,
		Inhibit: inhibit.DuringRun,
	}
	return g.Serve(ctx, conn)
}

// askedToRun is the record that a child of the process parent asks for a command of
// "immutectl run". It is the guardian that sends it, not the runner: with each record the
// journal keeps the command line of its sender (_CMDLINE in systemd.journal-fields(7)), and
// that of the runner has all of the command.
func askedToRun(c config.Config, run helper.Run, parent int) journal.Entry {
	e := asked(helper.Request{Verb: helper.RunCommand, ID: run.ID, UID: run.UID, User: run.User, Reason: run.Reason}, parent)
	e.Fields[journal.Command] = engine.LoggedCommand(c, run)
	return e
}

// rootsOwn are requests of a guardian, served as those of root are: by a unit, or in this
// process.
type rootsOwn struct{ config string }

// Do serves one request.
func (o rootsOwn) Do(ctx context.Context, r helper.Request) (*helper.Result, error) {
	call := helper.CommandLine{Request: r, Config: o.config}
	call.ID = helper.NewID()
	s := newServer(os.Stdout, os.Stderr)
	err := s.admit(&call, nil)
	result := begun(call.Request)
	var done *helper.Result
	if err == nil {
		done, err = s.handle(ctx, call, false)
	}
	if err != nil {
		s.deny(result, err)
		return result, result.Err()
	}
	// A window that this process has to end ends with it, as the guardian locks before.
	go s.keep(context.WithoutCancel(ctx))
	return done, done.Err()
}
