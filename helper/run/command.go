package run

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/run/wire"
)

// A command is a child of the runner, in its process group: what is typed at the terminal
// (Ctrl-C, Ctrl-Z) reaches both, and the shell sees one job.
type command struct{ pid, pidfd int }

// start starts a program from the calling thread, and so in its mount namespace. If the
// runner is killed, the command is asked to end: its write access is over then.
func start(program string, args []string) (*command, error) {
	c := &command{}
	var err error
	c.pid, err = syscall.ForkExec(program, args, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM, PidFD: &c.pidfd},
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// wait waits until the command has ended, passes signals on to it, and stops with it. It
// returns the exit code.
func (c *command) wait(signals <-chan os.Signal) int {
	defer unix.Close(c.pidfd)
	ended, forwarded := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(forwarded)
		for {
			select {
			case s := <-signals:
				c.forward(s.(syscall.Signal))
			case <-ended:
				return
			}
		}
	}()
	defer func() {
		close(ended)
		<-forwarded
	}()
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(c.pid, &status, unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return exitSignal
		case status.Exited():
			return status.ExitStatus()
		case status.Signaled():
			return exitSignal + int(status.Signal())
		case status.Stopped():
			c.stopToo()
		}
	}
}

// forward passes a signal on to the command, unless that has got it too: what is typed goes
// to the whole process group in the foreground.
func (c *command) forward(s syscall.Signal) {
	if s != unix.SIGPIPE && !isTyped(s) {
		_ = unix.PidfdSendSignal(c.pidfd, s, nil, 0) // it may have ended
	}
}

// isTyped reports whether a signal can be typed at a terminal which sends it to the runner.
func isTyped(s os.Signal) bool { return (s == unix.SIGINT || s == unix.SIGQUIT) && inForeground() }

// inForeground reports whether what is typed at the terminal goes to the runner's process group.
func inForeground() bool {
	group, ok := foreground()
	return ok && group == unix.Getpgrp()
}

// foreground returns the process group in the foreground of the terminal; false if there is
// no terminal.
func foreground() (group int, ok bool) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 0, false
	}
	defer tty.Close()
	group, err = unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return group, err == nil
}

// settle is how long a Ctrl-Z may take to stop the runner too.
const settle = 50 * time.Millisecond

// stopToo stops the runner when the command has stopped by itself, so that the shell notices,
// and continues the command when the shell continues the runner.
//
// After a Ctrl-Z the kernel has stopped the runner already, or is about to; and whatever
// continues it continues the command too.
func (c *command) stopToo() {
	time.Sleep(settle)
	if _, interactive := foreground(); !interactive || !wire.IsStopped(c.pid) || signal.Ignored(unix.SIGTSTP) {
		return
	}
	// To this thread: a signal to another one could arrive after it has gone on.
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTSTP)
	if group, err := unix.Getpgid(c.pid); err == nil && group != unix.Getpgrp() {
		_ = unix.Kill(-group, unix.SIGCONT)
	}
	_ = unix.PidfdSendSignal(c.pidfd, unix.SIGCONT, nil, 0)
}
