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

// mayUse returns why a request can't be carried out with the present configuration.
//
// Only what makes something writable needs a file that is accepted and fits the machine. A lock
// uses whatever there is. But if nothing was ever opened here with a configuration, and it does
// not fit, the machine is not set up, and its owner could not unlock what a lock would lock of
// it.
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

// opening returns the configuration to be recorded before something is made writable: the
// present one, with the paths that were opened before and are not locked again yet.
func (e *Engine) opening(recorded statefile.State) *config.Config {
	c := e.Config.With(recorded.StillOpen())
	c.Refused = nil
	return &c
}

// stillOpen returns what stays recorded as opened in a state: nothing if all of it is locked
// for everything.
func stillOpen(opened *config.Config, now helper.Status) *config.Config {
	if now.State == helper.Locked && len(now.Runs) == 0 {
		return nil
	}
	return opened
}

// keep records the configuration of a request that was carried out. If the record is on a
// protected path, a locked system can't write it. That is no failure: it is written when that
// path is writable.
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
