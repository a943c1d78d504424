// Package inhibit has shutdown and sleep wait for whatever changes the operating system.
package inhibit

import (
	"context"
	"fmt"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/packagemanager"
	"immutray.org/helper/systemd"
)

const (
	// sleepTimeout is how long a sleep may take that has begun before a command. Time
	// asleep is not counted.
	sleepTimeout = 15 * time.Second
	// idlePause is how often it is checked whether a package manager is running.
	idlePause = 3 * time.Second
	// busyPause is how often it is checked whether one that is running still holds its lock.
	busyPause = 200 * time.Millisecond
	// looksLocked is how often in a row the system has to be locked: an unlock soon after a
	// lock finds this process running, and does not start another.
	looksLocked = 3
)

// DuringRun has shutdown and sleep wait for a command of "immutectl run", where systemd is
// PID 1, until release is called or this process has ended. See [systemd.Logind.Inhibit].
func DuringRun(ctx context.Context, run helper.Run) (release func(), err error) {
	if !systemd.Booted() {
		return func() {}, nil
	}
	return systemd.SystemLogind().Inhibit(ctx, changing(run.Program()), sleepTimeout)
}

// changing is the reason that logind shows.
func changing(program string) string {
	return fmt.Sprintf("%q is changing the operating system", program)
}

// WhileUnlocked has shutdown and sleep wait for every package manager that runs while the
// system is unlocked, as [DuringRun] does for a command. It returns when the system is
// locked, or when ctx ends.
func WhileUnlocked(ctx context.Context, c config.Config) {
	reader := lockstate.For(c)
	w := &watch{
		locked: func() bool { return reader.Read().State == helper.Locked },
		running: func() *helper.Busy {
			busy, _ := packagemanager.Running() // one that cannot be found has nothing wait
			return busy
		},
		inhibit: func(ctx context.Context, program string) (func(), error) {
			return systemd.SystemLogind().Inhibit(ctx, changing(program), 0)
		},
		idle: idlePause, busy: busyPause,
	}
	w.untilLocked(ctx)
}

// A watch looks for package managers during a window.
type watch struct {
	locked     func() bool
	running    func() *helper.Busy // nil where none is
	inhibit    func(ctx context.Context, program string) (release func(), err error)
	idle, busy time.Duration
}

func (w *watch) untilLocked(ctx context.Context) {
	for locked := 0; locked < looksLocked && ctx.Err() == nil; {
		if busy := w.running(); busy != nil {
			w.during(ctx, *busy)
		}
		if locked++; !w.locked() {
			locked = 0
		}
		wait(ctx, w.idle, nil)
	}
}

// during has the machine wait until a package manager has ended, or has given up its lock.
func (w *watch) during(ctx context.Context, busy helper.Busy) {
	release, err := w.inhibit(ctx, busy.Name())
	if err != nil {
		return // the next look tries again
	}
	defer release()
	ended, stop := endOf(busy.PID)
	defer stop()
	for ctx.Err() == nil {
		now := w.running()
		if now == nil || now.PID != busy.PID || wait(ctx, w.busy, ended) {
			return
		}
	}
}

// wait waits for that long, or until ended is closed, which it reports, or until ctx ends.
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
