package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/protected"
	"immutray.org/helper/statefile"
)

// unlock unlocks every path, or none: on failure those that it unlocked are locked
// again.
func (e *Engine) unlock(paths []*protected.Path, result *helper.Result) error {
	// Who opens the window is on record before it opens, so that no crash leaves one
	// that nobody is known to have opened.
	early := statefile.State{Window: windowAfter(result, nil)}
	if err := statefile.Write(e.Config.StateDir, early); err != nil {
		return fmt.Errorf("cannot unlock: %w", err)
	}
	for i, p := range paths {
		if err := unlockPath(p); err != nil {
			return join(err, e.rollBack(paths[:i+1], result.Before.Paths))
		}
	}
	return nil
}

func unlockPath(p *protected.Path) error {
	before := p.Status()
	if before.Error != "" {
		return errors.New(before.Error)
	}
	if before.Superblock == helper.ReadOnly {
		if err := p.MakeSuperblockWritable(); err != nil {
			return fmt.Errorf("cannot unlock %q: cannot make its file system writable: %w", p.Name, err)
		}
	}
	if p.Btrfs && before.Property != helper.Writable {
		if err := p.SetProperty(false); err != nil {
			return fmt.Errorf("cannot unlock %q: cannot clear the property: %w", p.Name, err)
		}
	}
	if err := p.SetMountReadOnly(false); err != nil {
		return fmt.Errorf("cannot unlock %q: %w", p.Name, err)
	}
	return nil
}

// rollBack locks those of the paths again that were not unlocked before.
func (e *Engine) rollBack(paths []*protected.Path, before []helper.PathStatus) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.Config.Drain)
	defer cancel()
	var all error
	for i, p := range paths {
		if before[i].State == helper.Unlocked {
			continue
		}
		if _, err := e.lockPath(ctx, p); err != nil {
			all = join(all, fmt.Errorf("it could not be locked again: %w", err))
		}
	}
	return all
}

// windowAfter returns the window that goes with a request that ended with err, if the
// system is not locked then. To unlock what is unlocked already goes on with the
// window there is; the boot forgets it.
func windowAfter(result *helper.Result, err error) *helper.Window {
	verb, window := result.Request.Verb, result.Before.Window
	if verb.AtBoot() {
		window = nil
	}
	if verb == helper.Lock || verb == helper.Seal || window != nil || err != nil {
		return window
	}
	return &helper.Window{
		Since: result.Started.Round(time.Second),
		UID:   result.Request.UID,
		User:  result.Request.User,
	}
}
