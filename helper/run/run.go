// Package run is "immutectl run": it runs a command that alone can write to the protected
// paths, while the rest of the system still sees them read-only; or, with --system-wide, a
// command during which the system is unlocked.
//
// Three processes take part:
//
//	the runner    immutectl, in the foreground of the terminal in place of the command
//	the command   in a mount namespace of its own, where the mount flags are cleared
//	the guardian  root's helper: holds the engine's grant, and ends it after the command
//
// This package is the runner; package guardian is the guardian, which outlives both. If the
// guardian is killed, the runner starts another. If the runner is dead too, PID 1, or the
// next of Immutray's processes that runs, has the grant ended (engine.Engine.Reclaim).
package run

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
	"immutray.org/helper/client"
	"immutray.org/helper/config"
	"immutray.org/helper/run/namespace"
	"immutray.org/helper/run/wire"
	"immutray.org/helper/text"
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
	// Config has the protected paths. The guardian gets it from here: the file may be
	// another one by the end of the command.
	Config config.Config
	// Mounts is the mount namespace of the guardian, "" for that of this process. What is
	// locked is the machine, wherever the command is asked for.
	Mounts string
	// Guardian returns a command line that serves as a guardian, on the descriptor
	// [wire.Socket]; see [Guardian].
	Guardian func() *exec.Cmd
	// Unlocked is called, before the command starts, if there is no grant: the system is
	// unlocked, and stays so, or the notices of the result say what else it is.
	Unlocked func(*helper.Result)
}

// guardianName is what a guardian is called: killing every immutectl and every helper by
// name does not kill what locks again afterwards.
const guardianName = "immutray-guardian"

// Guardian returns the command line of the guardian of a helper, for a configuration file
// that root has named; "" is the installed one.
func Guardian(program, configFile string) *exec.Cmd {
	if program == "" {
		program = helper.HelperPath
	}
	cmd := exec.Command(program, wire.Guard)
	if configFile != "" {
		cmd.Args = append(cmd.Args, "--config", configFile)
	}
	cmd.Args[0] = guardianName
	cmd.Env = []string{}
	return cmd
}

// An End is how a command and its grant ended.
type End struct {
	Code   int            // what the command exited with; 128 and more for a signal
	Result *helper.Result // of the grant; nil if there was none
	Err    error          // why a grant has no result
}

// Run runs one command and waits until it and its grant have ended. After an error it was
// never started, and the End's Code says why. Run may be called once: it leaves its thread
// in the command's mount namespace.
func (r *Runner) Run(order helper.Run) (End, error) {
	// The command's mount namespace is that of one thread, and so is the signal that
	// it gets when the runner dies (prctl(2), PR_SET_PDEATHSIG).
	runtime.LockOSThread()
	program, code, err := find(order.Command[0])
	if err != nil {
		return End{Code: code}, err
	}
	signals := catch()
	defer signal.Stop(signals)
	g, err := r.guardian(order, nil)
	if err != nil {
		return End{Code: helper.ExitFailed}, err
	}
	reply, err := g.begin(signals)
	var interrupted *InterruptedError
	var missing *client.AuthorizationError
	switch {
	case errors.As(err, &interrupted):
		return End{Code: exitSignal + int(interrupted.Signal)}, err
	case errors.As(err, &missing):
		return End{Code: helper.ExitFailed}, err
	case err != nil:
		_, lost := r.takeBack(order, wire.Message{}) // the grant may have begun
		return End{Code: helper.ExitFailed, Err: lost}, err
	case reply.Result.Outcome != helper.Done:
		g.leave()
		return End{Code: reply.Result.Outcome.ExitCode(), Result: reply.Result}, reply.Result.Err()
	case !reply.Granted:
		g.leave()
		r.Unlocked(reply.Result)
		return r.command(program, order, signals, nil)
	}
	if len(reply.Result.Notices) > 0 {
		r.Unlocked(reply.Result)
	}
	return r.guarded(program, order, signals, g, reply)
}

// guarded runs the command as long as a guardian, g at first, holds the grant.
func (r *Runner) guarded(program string, order helper.Run, signals <-chan os.Signal, g *guardianProcess, begun wire.Message) (End, error) {
	var mounts string
	if !order.SystemWide {
		var err error
		if mounts, err = namespace.Enter(r.Config.Paths); err == nil {
			err = g.show(wire.Message{Namespace: mounts})
		}
		if err != nil {
			g.end()
			reply, lost := g.result()
			if lost != nil {
				reply, lost = r.takeBack(order, begun)
			}
			return End{Code: helper.ExitFailed, Result: reply, Err: lost}, fmt.Errorf("cannot run the command: %w", text.Because(err))
		}
	}
	c := &guarded{runner: r, order: order, namespace: mounts, guardian: g, begun: begun, ending: make(chan struct{}), done: make(chan struct{})}
	return r.command(program, order, signals, c)
}

// command starts the command and waits for it and, if it is guarded, for the end of the
// grant.
func (r *Runner) command(program string, order helper.Run, signals <-chan os.Signal, g *guarded) (End, error) {
	var end End
	c, err := start(program, order.Command)
	if g != nil {
		if err == nil {
			// It has not been waited for, and so its id is its own.
			g.command = wire.ProcessOf(c.pid)
		}
		go g.keep()
	}
	if err == nil {
		end.Code = c.wait(signals)
	}
	if g != nil {
		end.Result, end.Err = g.end(signals)
	}
	if err != nil {
		end.Code = ExitNotExecutable
		return end, fmt.Errorf("cannot run %q: %w", order.Command[0], err)
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

// catch has the signals sent to the runner that are the command's to act on, and SIGPIPE, so
// that the command does not inherit that the runner ignores it. Signals that the caller has
// had the runner ignore, as nohup(1) does, the command ignores as well.
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

// An InterruptedError is a wait that was ended by a signal.
type InterruptedError struct{ Signal syscall.Signal }

func (e *InterruptedError) Error() string { return "interrupted (" + e.Signal.String() + ")" }
