package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statefile"
)

// isNoRoom reports whether an error is that of a file system that is full, of data or of
// files. A user without rights can fill /run, where a program gives everyone a directory
// there.
func isNoRoom(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// lockUnasked has PID 1 lock where there is no room for a request: a unit that finds none
// does a lock of root's own. The result is in the state file, which always has room.
func (s *server) lockUnasked(ctx context.Context, c config.Config, r helper.Request) (*helper.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, helper.AnswerTimeout(c.Drain))
	defer cancel()
	result := &helper.Result{Request: r, Outcome: helper.Done, Started: time.Now()}
	unit := unitOf(helper.Lock)
	if _, err := s.jobs.Start(ctx, unit); err != nil {
		return nil, fmt.Errorf("cannot have systemd start %s: %w", unit, err)
	}
	if state, err := statefile.Read(c.StateDir); err == nil && state.Last != nil && state.Last.Request.Verb == helper.Lock && state.Last.Finished.After(result.Started) {
		*result = *state.Last
		result.Request = r
	} else if status := lockstate.For(c).Read(); status.State != helper.Locked {
		result.Outcome, result.Status = helper.Failed, &status
		result.Error = fmt.Sprintf("cannot get the result of %s: there is no room in %s; see \"journalctl -u %s\"", unit, c.StateDir, unit)
	} else {
		result.Status = &status
	}
	result.Notices = append(result.Notices, fmt.Sprintf("there is no room in %s", c.StateDir))
	result.Finished = time.Now()
	return result, nil
}
