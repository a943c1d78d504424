package engine

import (
	"context"
	"errors"
	"fmt"

	"immutray.org/helper"
	"immutray.org/helper/protected"
	"immutray.org/helper/statefile"
	"immutray.org/helper/text"
)

// unlock unlocks every path, or none: after a failure, those that it unlocked are locked again.
// The timer of the window is set before anything is unlocked.
func (e *Engine) unlock(ctx context.Context, paths []*protected.Path, result *helper.Result, next *statefile.State) error {
	for _, p := range paths {
		if err := p.CanBeWritten(); err != nil {
			return fmt.Errorf("cannot unlock %q: %w", p.Name, err)
		}
	}
	e.rememberLocked(paths, result)
	had := *next
	opened, err := e.open(ctx, result, had)
	if err != nil {
		return err
	}
	// The window is recorded before it opens, so that after a crash it is known who opened it.
	if err := statefile.Write(e.Config.StateDir, opened); err != nil {
		return fmt.Errorf("cannot unlock: %w", text.Because(err))
	}
	*next = opened
	for i, p := range paths {
		if err = e.unlockPath(ctx, p, result); err != nil {
			paths = paths[:i+1]
			break
		}
	}
	err = verified(err, paths, helper.Unlocked)
	if err != nil {
		if next.Window = had.Window; had.Window != nil {
			next.Deadline, next.Overdue = had.Deadline, had.Overdue // the window before goes on
		}
		err = join(err, e.rollBack(paths, result.Before))
	}
	if err == nil {
		next.StillReadOnly = e.reopenOthers(paths, result)
		for _, p := range paths {
			if notice := outOfReach(p, helper.ReadOnly, "unlock"); notice != "" {
				result.Notices = append(result.Notices, notice)
			}
		}
	}
	return err
}

func (e *Engine) unlockPath(ctx context.Context, p *protected.Path, result *helper.Result) error {
	before := p.Status()
	if before.Error != "" {
		return errors.New(before.Error)
	}
	if before.Superblock == helper.ReadOnly {
		if err := p.MakeSuperblockWritable(); err != nil {
			return fmt.Errorf("cannot unlock %q: could not make its file system writable: %w", p.Name, err)
		}
	}
	if p.Btrfs && before.Property != helper.Writable {
		if err := e.clearProperty(ctx, p, result); err != nil {
			return fmt.Errorf("cannot unlock %q: %w", p.Name, text.Because(err))
		}
	}
	if err := p.SetMountReadOnly(false); err != nil {
		return fmt.Errorf("cannot unlock %q: %w", p.Name, text.Because(err))
	}
	return nil
}

// rollBack locks those paths again that were not unlocked before. Commands keep their write
// access.
func (e *Engine) rollBack(paths []*protected.Path, before *helper.Status) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.Config.Drain)
	defer cancel()
	var all error
	var closings []*closing
	for i, p := range paths {
		switch was := before.Paths[i]; {
		case was.State == helper.Unlocked:
		case before.Granted(was):
			all = join(all, raiseBarrier(ctx, p))
		default:
			now := p.Status()
			if now.Error != "" {
				// An unreadable path may be why the unlock failed, and stays as it is.
				now = helper.PathStatus{Property: helper.Writable, Mount: helper.Writable, Superblock: helper.Writable}
			}
			closings = append(closings, &closing{Path: p, before: now})
		}
	}
	e.close(ctx, closings)
	for _, c := range closings {
		all = join(all, c.err)
	}
	if all != nil {
		return fmt.Errorf("it could not be locked again: %w", all)
	}
	return nil
}
