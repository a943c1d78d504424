// Package scoped runs a command that alone sees the protected paths writable, while the
// rest of the system goes on seeing them read-only; or, system-wide, one for whose time
// the system is unlocked.
//
// Three processes take part:
//
//	the runner    immutectl run: stands in the foreground of the terminal for the command
//	the command   in a mount namespace of its own, where the mount flags are cleared
//	the guardian  holds the engine's loan, and returns it when the command has ended
//
// The guardian is in a session and, where PID 1 is systemd, in a unit of its own: whoever
// kills or freezes the runner or the command, the session or the terminal of the two, does
// not do it to the guardian. It watches the command itself, and sees from the end of a
// socket that the runner is gone, however that came about. If it is killed itself the
// runner starts another; and if nobody is left to do so, PID 1, or whatever else of ours
// runs next, has the loan returned (engine.Engine.Reclaim).
package scoped

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/journal"
)

// Exit codes for commands that can't be started, as in a shell.
const (
	ExitNotExecutable = 126
	ExitNotFound      = 127
	// exitSignal is added to the number of the signal that killed a command.
	exitSignal = 128
)

// A Runner runs commands.
type Runner struct {
	// Config has the protected paths. The guardian gets it from here, and asks for no file
	// that may be another by the end of the command.
	Config config.Config
	// Mounts is the mount namespace of the guardian, "" for that of this process. What is
	// locked and lent is that of the machine, wherever the command is asked for.
	Mounts string
	// Asked is the record that somebody asked for the command, for the guardian to send.
	Asked journal.Entry
	// Guardian returns a command line that serves as a [Guardian], on the descriptor
	// [GuardianSocket].
	Guardian func() *exec.Cmd
	// Unlocked is called, before the command starts, when there is nothing to lend: the
	// system is unlocked, and stays so, or the notices of the result say what there is
	// instead.
	Unlocked func(*helper.Result)
}

// An End is how a command and the loan for it ended.
type End struct {
	Code   int            // what the command exited with; 128 and more for a signal
	Result *helper.Result // of the loan; nil when there was none
	Err    error          // why there is no result of a loan that there was
}

// Run runs one command and waits until it has ended and the loan is returned. With an
// error it was never started, and the End's Code says why. Run may be called once: it
// leaves the thread it is called on in the command's mount namespace.
func (r *Runner) Run(run helper.Run) (End, error) {
	// The command's mount namespace is that of one thread, and so is the signal that
	// tells it of our death (prctl(2), PR_SET_PDEATHSIG).
	runtime.LockOSThread()
	program, code, err := find(run.Command[0])
	if err != nil {
		return End{Code: code}, err
	}
	signals := catch()
	defer signal.Stop(signals)
	g, err := r.guardian(run, nil)
	if err != nil {
		return End{Code: helper.ExitFailed}, err
	}
	reply, err := g.begin(signals)
	var interrupted *InterruptedError
	switch {
	case errors.As(err, &interrupted):
		return End{Code: exitSignal + int(interrupted.Signal)}, err
	case err != nil:
		_, lost := r.takeBack(run, message{}) // it may have lent already
		return End{Code: helper.ExitFailed, Err: lost}, err
	case reply.Result.Outcome != helper.Done:
		g.leave()
		return End{Code: reply.Result.Outcome.ExitCode(), Result: reply.Result}, reply.Result.Err()
	case !reply.Lent:
		g.leave()
		r.Unlocked(reply.Result)
		return r.command(program, run, signals, nil)
	}
	if len(reply.Result.Notices) > 0 {
		r.Unlocked(reply.Result)
	}
	return r.guarded(program, run, signals, g, reply)
}

// guarded runs the command as long as a guardian, g at first, holds the loan.
func (r *Runner) guarded(program string, run helper.Run, signals <-chan os.Signal, g *guard, begun message) (End, error) {
	var namespace string
	if !run.SystemWide {
		var err error
		if namespace, err = enter(r.Config.Paths); err == nil {
			err = g.show(message{Namespace: namespace})
		}
		if err != nil {
			g.end()
			reply, lost := g.result()
			if lost != nil {
				reply, lost = r.takeBack(run, begun)
			}
			return End{Code: helper.ExitFailed, Result: reply, Err: lost}, fmt.Errorf("cannot run the command: %w", helper.Because(err))
		}
	}
	s := &supervisor{runner: r, run: run, namespace: namespace, guard: g, begun: begun, ending: make(chan struct{}), done: make(chan struct{})}
	return r.command(program, run, signals, s)
}

// command starts the command, waits for it, and has s, if there is one, return the loan.
func (r *Runner) command(program string, run helper.Run, signals <-chan os.Signal, s *supervisor) (End, error) {
	var end End
	c, err := start(program, run.Command)
	if s != nil {
		if err == nil {
			s.command = c.seen()
		}
		go s.supervise()
	}
	if err == nil {
		end.Code = c.wait(signals)
	}
	if s != nil {
		end.Result, end.Err = s.end(signals)
	}
	if err != nil {
		end.Code = ExitNotExecutable
		return end, fmt.Errorf("cannot run %q: %w", run.Command[0], err)
	}
	return end, nil
}

// find looks for a program as a shell does.
func find(name string) (program string, code int, err error) {
	program, err = exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) {
		err = nil // PATH says so
	}
	switch {
	case err == nil:
		return program, 0, nil
	case errors.Is(err, fs.ErrPermission):
		return "", ExitNotExecutable, fmt.Errorf("cannot run %q: permission denied", name)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "", ExitNotFound, fmt.Errorf("cannot run %q: no such program", name)
	}
	return "", ExitNotExecutable, fmt.Errorf("cannot run %q: %w", name, err)
}

// catch has the signals sent to us that are the command's to act on, and SIGPIPE, so
// that the command does not inherit that we ignore it. What our caller has had us ignore
// (nohup(1)) the command ignores as well.
func catch() chan os.Signal {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGPIPE)
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	return signals
}

// isRequestToEnd reports whether a signal asks a program to end.
func isRequestToEnd(s os.Signal) bool {
	switch s {
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP:
		return true
	}
	return false
}

// An InterruptedError is a wait that a signal has ended.
type InterruptedError struct{ Signal syscall.Signal }

func (e *InterruptedError) Error() string { return "interrupted (" + e.Signal.String() + ")" }
