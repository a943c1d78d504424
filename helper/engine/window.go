package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statefile"
	"immutray.org/helper/text"
)

// A Timer asks for a lock that is [helper.Request.Due] when a window ends, whatever becomes
// of this process and of the user's. It goes on asking until that lock is done.
type Timer interface {
	// Arm sets a timer, called id, besides those that are set already.
	Arm(ctx context.Context, id string, after time.Duration) error
	// Disarm stops every timer but the one called except.
	Disarm(ctx context.Context, except string) error
}

// timerTolerance is how much too early a timer may come, because the clocks are read one after
// the other.
const timerTolerance = time.Second

// lasts reports whether the recorded window is known to go on: its end is still to come, or it
// was opened without one. If the end of an open window is not known, its timer is all that is
// left of it.
func (e *Engine) lasts(recorded statefile.State) bool {
	if recorded.Deadline != nil {
		return !e.isOver(recorded.Deadline)
	}
	return recorded.Window != nil && recorded.Window.Until == nil
}

// overSince is the deadline of a window that is no longer recorded and whose timer has come:
// now. There is no timer with its name.
func (e *Engine) overSince() *statefile.Deadline {
	_, sinceBoot := e.clock.now()
	return &statefile.Deadline{SinceBoot: sinceBoot}
}

// isOver reports whether a window with that deadline has ended.
func (e *Engine) isOver(d *statefile.Deadline) bool {
	return d != nil && e.left(d) <= timerTolerance
}

func (e *Engine) left(d *statefile.Deadline) time.Duration {
	_, sinceBoot := e.clock.now()
	return d.SinceBoot - sinceBoot
}

// open decides how long the window of a request is, or goes on, and sets its timer.
func (e *Engine) open(ctx context.Context, result *helper.Result, had statefile.State) (statefile.State, error) {
	r := result.Request
	length, err := e.length(r, had)
	if err != nil {
		return had, err
	}
	next := statefile.State{Window: &helper.Window{Since: result.Started.Round(time.Second), UID: r.UID, User: r.User}, Opened: e.opening(had), Seal: had.Seal}
	if had.Window != nil {
		*next.Window = *had.Window
	}
	if r.Reason != "" {
		next.Window.Reason = r.Reason // the newest is kept
	}
	next.Window.Until = nil
	if length == config.UntilLocked {
		return next, nil
	}
	until, after, sinceBoot := e.clock.in(length)
	next.Window.Until = &until
	next.Deadline = &statefile.Deadline{ID: r.ID, SinceBoot: sinceBoot}
	if err := e.arm(ctx, r.ID, after); err != nil {
		return had, err
	}
	return next, nil
}

// length returns how long a request unlocks. A request without a time does not shorten the
// window.
func (e *Engine) length(r helper.Request, had statefile.State) (time.Duration, error) {
	switch {
	case r.Verb.AtBoot():
		return config.UntilLocked, nil // no person asks for it who could choose
	case r.UntilLocked:
		return config.UntilLocked, e.Config.Allows(config.UntilLocked)
	case r.For != 0:
		return r.For, e.Config.Allows(r.For)
	case had.Window == nil:
		return e.Config.UnlockDefault, nil
	}
	left := config.UntilLocked
	if had.Deadline != nil {
		left = max(e.left(had.Deadline), 1) // one that is overdue is not a window without an end
	}
	longer := left == config.UntilLocked || e.Config.UnlockDefault != config.UntilLocked && left > e.Config.UnlockDefault
	if longer && e.Config.Allows(left) == nil {
		return left, nil
	}
	return e.Config.UnlockDefault, nil
}

func (e *Engine) arm(ctx context.Context, id string, after time.Duration) error {
	err := errors.New("there is no timer here")
	if e.Timer != nil {
		err = e.Timer.Arm(ctx, id, after)
	}
	if err != nil {
		return fmt.Errorf("cannot set a timer for the end of the window: %w", text.Because(err))
	}
	return nil
}

// disarm stops every timer but that of the present deadline. It is for a locked system, and for
// a window that was opened or extended: in any other case an earlier timer may be all that
// still ends a window. A timer that stays does no harm: when it comes, no window has ended.
func (e *Engine) disarm(ctx context.Context, result *helper.Result, keep *statefile.Deadline) {
	if e.Timer == nil {
		return
	}
	except := ""
	if keep != nil {
		except = keep.ID
	}
	if err := e.Timer.Disarm(ctx, except); err != nil {
		result.Notices = append(result.Notices, fmt.Sprintf("the timer of a window that has ended is still set: %v", err))
	}
}

// putOff ends a lock that comes too early, because its window has just been extended, or
// because the time of day was set. In the latter case it sets a new timer for the rest of the
// window, and records the new time of day.
func (e *Engine) putOff(ctx context.Context, result *helper.Result, recorded statefile.State) error {
	why := "not locked: no window has ended"
	if d := recorded.Deadline; d != nil {
		until, after, sinceBoot := e.clock.in(e.left(d))
		if err := e.arm(ctx, result.Request.ID, after); err != nil {
			return fmt.Errorf("cannot postpone the lock: %w", text.Because(err))
		}
		recorded.Deadline = &statefile.Deadline{ID: result.Request.ID, SinceBoot: sinceBoot}
		if recorded.Window != nil {
			recorded.Window.Until = &until
		}
		if err := statefile.Write(e.Config.StateDir, recorded); err != nil {
			return fmt.Errorf("cannot postpone the lock: %w", text.Because(err))
		}
		why = "not locked: the window lasts until " + until.Format(time.RFC3339)
	}
	e.disarm(ctx, result, recorded.Deadline)
	status := lockstate.For(e.Config).Read()
	e.nothingDone(result, &status, why)
	return nil
}
