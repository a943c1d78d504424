package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/engine"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statefile"
)

// A keeper locks at the end of a window where PID 1 is not systemd and has no timers. It is
// the helper's own process, which stays when it has answered, and ends when another process
// is to end the window, or when there is no window any more.
type keeper struct {
	engine  *engine.Engine
	id      string   // of the window to end; "" when there is none
	timer   *os.File // timerfd on CLOCK_BOOTTIME, which counts the machine's sleep
	changes *os.File // inotify on the state directory
}

// tryAgainAfter is how long a keeper waits when it could not lock: as long as systemd
// (RestartSec= of immutray-relock@.service).
const tryAgainAfter = 20 * time.Second

// Arm implements [engine.Timer].
func (k *keeper) Arm(_ context.Context, id string, after time.Duration) error {
	if k.timer == nil {
		if err := k.open(); err != nil {
			return err
		}
	}
	// A value of 0 disarms the timer (timerfd_settime(2)).
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(after, 1)))}
	if err := unix.TimerfdSettime(int(k.timer.Fd()), 0, &spec, nil); err != nil {
		return fmt.Errorf("cannot set the timer: %w", err)
	}
	k.id = id
	return nil
}

// open gets all that the keeper needs to wait, before anything is unlocked.
func (k *keeper) open() error {
	timer, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot create a timer: %w", err)
	}
	k.timer = os.NewFile(uintptr(timer), "timer")
	changes, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot watch the state: %w", err)
	}
	k.changes = os.NewFile(uintptr(changes), "changes")
	if _, err := unix.InotifyAddWatch(changes, k.engine.Config.StateDir, unix.IN_MOVED_TO|unix.IN_ONLYDIR); err != nil {
		return fmt.Errorf("cannot watch the state: %w", err)
	}
	return nil
}

func (k *keeper) close() {
	k.timer.Close()
	k.changes.Close()
}

// Disarm implements [engine.Timer]. Other keepers read in the state file that they are not
// wanted any more.
func (k *keeper) Disarm(_ context.Context, except string) error {
	if k.id != except {
		k.id = ""
	}
	return nil
}

// keep stays as long as there is a window to end.
func (s *server) keep(ctx context.Context) {
	k := s.keeper
	if k == nil || k.timer == nil {
		return
	}
	defer k.close()
	if k.id == "" {
		return
	}
	if err := s.detach(); err != nil {
		// A caller that waits for the end of the output waits for the end of the window.
		_ = s.say(s.stderr, "immutray-helper: error: "+err.Error()+"\n")
	}
	for k.id != "" && k.isWanted() {
		due, err := k.wait()
		if due && err == nil {
			err = s.lockWhenDue(ctx)
		}
		if err != nil {
			// A lock that comes too early is postponed, and the timer set again.
			_ = s.say(s.stderr, "immutray-helper: error: "+err.Error()+"\n")
			time.Sleep(tryAgainAfter)
			_ = s.lockWhenDue(ctx)
		}
	}
}

// lockWhenDue locks, or sets the timer again. After an error the timer is not set.
func (s *server) lockWhenDue(ctx context.Context) error {
	r := s.run(s.keeper.engine, ctx, helper.Request{Verb: helper.Lock, ID: helper.NewID(), User: userName(0), Due: true})
	if r.Outcome == helper.Done {
		return nil
	}
	return s.keeper.Arm(ctx, s.keeper.id, tryAgainAfter)
}

// wait returns when the state file has changed, or when the timer has elapsed.
func (k *keeper) wait() (due bool, err error) {
	fds := []unix.PollFd{
		{Fd: int32(k.timer.Fd()), Events: unix.POLLIN},
		{Fd: int32(k.changes.Fd()), Events: unix.POLLIN},
	}
	if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("cannot wait: poll: %w", err)
	}
	for i, f := range []*os.File{k.timer, k.changes} {
		if fds[i].Revents != 0 {
			_, _ = f.Read(make([]byte, 4096)) // what it says is not needed
		}
	}
	return fds[0].Revents != 0, nil
}

// isWanted reports whether this keeper still has to end the window. It has to while that
// can't be read, and while another unlock works, which has no result yet and may fail: one
// lock too many does no harm. A window whose end is not on record any more is for every
// keeper to end, until the system is locked.
func (k *keeper) isWanted() bool {
	c := k.engine.Config
	state, err := statefile.Read(c.StateDir)
	switch {
	case err != nil || state.Last == nil:
		return true
	case state.Deadline != nil && state.Deadline.ID != "":
		return state.Deadline.ID == k.id
	case state.Deadline == nil && state.Window != nil && state.Window.Until == nil:
		return false // it was opened without an end
	}
	return lockstate.For(c).Read().State != helper.Locked
}
