package engine

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/statefile"
)

// mayUse returns why a request can't be carried out with the configuration as it is.
//
// Only what makes something writable needs a file that is accepted and fits the machine.
// Toward locked goes whatever there is; but what was never opened here, by a configuration
// that does not fit, is a machine that is not set up, and a lock of half of it would be one
// that its owner can't unlock.
func (e *Engine) mayUse(t *targets, r helper.Request, recorded statefile.State) error {
	refused := e.Config.Refused
	goesOn := refused != nil || r.Due || recorded.Opened != nil
	if r.Verb == helper.Unlock {
		if refused != nil && !r.IgnoreConfig {
			return refused
		}
		goesOn = r.IgnoreConfig
	}
	if len(t.paths) == 0 || len(t.missing) > 0 && !goesOn {
		return t.err()
	}
	return nil
}

// opening returns the configuration that is to be on record before something is made
// writable: with it, what was made so before and is not locked again yet.
func (e *Engine) opening(recorded statefile.State) *config.Config {
	c := e.Config.With(recorded.StillOpen())
	c.Refused = nil
	return &c
}

// stillOpen returns what stays on record of what was opened, in view of the state: nothing
// when all of it is locked for everybody.
func stillOpen(opened *config.Config, now helper.Status) *config.Config {
	if now.State == helper.Locked && len(now.Runs) == 0 {
		return nil
	}
	return opened
}

// keep notes the configuration of a request that was done. That a locked system can't keep
// it where that is on a protected path is no failure: it was kept, or will be, when that
// is writable.
func (e *Engine) keep(result *helper.Result) {
	if e.Keep == nil || e.Config.Refused != nil || result.Outcome != helper.Done {
		return
	}
	c := e.Config
	c.OnBtrfs = nil
	for _, p := range result.Status.Paths {
		if p.Filesystem == "btrfs" && slices.Contains(c.Paths, p.Path) {
			c.OnBtrfs = append(c.OnBtrfs, p.Path)
		}
	}
	if err := e.Keep(c); err != nil && !errors.Is(err, unix.EROFS) {
		result.Notices = append(result.Notices, fmt.Sprint(err))
	}
}
