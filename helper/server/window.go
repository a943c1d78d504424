package server

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/packagemanager"
)

const (
	// idlePause is how often a window is looked at when no package manager is at work.
	idlePause = 3 * time.Second
	// busyPause is how often, besides at its end, when one is: it may give up its lock, and
	// stay.
	busyPause = 200 * time.Millisecond
	// looksLocked is how often in a row the system has to be locked: an unlock that comes
	// soon after a lock finds this process at work, and does not start another.
	looksLocked = 3
)

// InhibitWhileUnlocked has shutdown and sleep wait for every package manager that is at work
// while the system is unlocked, as [Inhibit] does for a command. It returns when it is
// locked, or when ctx ends.
func InhibitWhileUnlocked(ctx context.Context, c config.Config) {
	reader := lockstate.For(c)
	a := &attendant{
		locked: func() bool { return reader.Read().State == helper.Locked },
		atWork: func() *helper.LockHolder {
			holder, _ := packagemanager.Holder() // what can't be told has nobody wait
			return holder
		},
		inhibit: func(ctx context.Context, program string) (func(), error) {
			return logind{address: systemBus}.inhibit(ctx, changing(program), 0)
		},
		idle: idlePause, busy: busyPause,
	}
	a.attend(ctx)
}

// An attendant attends to a window.
type attendant struct {
	locked     func() bool
	atWork     func() *helper.LockHolder // nil is nobody
	inhibit    func(ctx context.Context, program string) (release func(), err error)
	idle, busy time.Duration
}

func (a *attendant) attend(ctx context.Context) {
	for locked := 0; locked < looksLocked && ctx.Err() == nil; {
		if holder := a.atWork(); holder != nil {
			a.attendTo(ctx, *holder)
		}
		if locked++; !a.locked() {
			locked = 0
		}
		wait(ctx, a.idle, nil)
	}
}

// attendTo has the machine wait until a package manager has ended, or given up its lock.
func (a *attendant) attendTo(ctx context.Context, holder helper.LockHolder) {
	release, err := a.inhibit(ctx, nameOf(holder))
	if err != nil {
		return // the next look tries again
	}
	defer release()
	ended, stop := endOf(holder.PID)
	defer stop()
	for ctx.Err() == nil {
		now := a.atWork()
		if now == nil || now.PID != holder.PID || wait(ctx, a.busy, ended) {
			return
		}
	}
}

func nameOf(h helper.LockHolder) string {
	if h.Program != "" {
		return h.Program
	}
	return h.Manager
}

// wait waits for that long, or until ended is closed, which it reports, or ctx ends.
func wait(ctx context.Context, long time.Duration, ended <-chan struct{}) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// endOf returns a channel that is closed when a process has ended. Who has the machine go
// off right afterwards, as in "apt upgrade && reboot", is not to be refused. A process that
// is not known, or can't be watched, never ends so.
func endOf(pid int) (ended <-chan struct{}, stop func()) {
	if pid <= 0 {
		return nil, func() {}
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, func() {}
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("process %d", pid))
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, func() {}
	}
	done := make(chan struct{})
	go func() {
		// It can be read when the process has ended (pidfd_open(2)).
		hasEnded := func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return err == nil && n > 0
		}
		if conn.Read(hasEnded) == nil {
			close(done)
		}
	}()
	return done, func() { f.Close() }
}
