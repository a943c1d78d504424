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

// A keeper is what locks at the end of a window where PID 1 has no timers for us: the
// helper itself, which stays when it has answered. It goes when the window is another's
// to end, or nobody's any more.
type keeper struct {
	engine  *engine.Engine
	id      string   // of the window to end; "" when there is none
	timer   *os.File // timerfd on CLOCK_BOOTTIME, which counts the machine's sleep
	changes *os.File // inotify on the state directory
}

// tryAgainAfter is how long a keeper waits when it could not lock; as long as systemd
// does (RestartSec= of immutray-relock@.service).
const tryAgainAfter = 20 * time.Second

// Arm implements [engine.Relock].
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

// open gets everything that waiting takes, before anything is unlocked.
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

// Disarm implements [engine.Relock]. Other keepers see in the state file that they are
// not wanted any more.
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
		// Who waits for the end of our output has to wait for the end of the window.
		_ = s.say(s.stderr, "immutray-helper: error: "+err.Error()+"\n")
	}
	for k.id != "" && k.isWanted() {
		due, err := k.wait()
		if due && err == nil {
			err = s.lockWhenDue(ctx)
		}
		if err != nil {
			// A lock that comes too early is put off, and the timer set anew.
			_ = s.say(s.stderr, "immutray-helper: error: "+err.Error()+"\n")
			time.Sleep(tryAgainAfter)
			_ = s.lockWhenDue(ctx)
		}
	}
}

// lockWhenDue locks, or has the timer come again. Its error says that it will not.
func (s *server) lockWhenDue(ctx context.Context) error {
	r := s.run(s.keeper.engine, ctx, helper.Request{Verb: helper.Lock, ID: newID(), User: userName(0), Due: true})
	if r.Outcome == helper.Done {
		return nil
	}
	return s.keeper.Arm(ctx, s.keeper.id, tryAgainAfter)
}

// wait returns when the state file has changed, or when the timer has come.
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
			_, _ = f.Read(make([]byte, 4096)) // that it can be read is all there is to know
		}
	}
	return fds[0].Revents != 0, nil
}

// isWanted reports whether the window is still ours to end. It is while that can't be
// read, and while another unlock is at work, which has no result yet and may fail: to
// ask for a lock once too often does no harm. One whose end is not on record any more is
// everybody's, until the system is locked.
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
