package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/engine"
	"immutray.org/helper/statedir"
	"immutray.org/helper/text"
)

// logins counts who is logged in.
type logins interface {
	// People counts the logins of people, wherever they sit.
	People(ctx context.Context) (int, error)
}

// sleepTimeout is how long the sleep of the machine waits for writers to finish,
// whatever the configured drain time is.
const sleepTimeout = 5 * time.Second

// lockOnOccasion does what the unit of an occasion is for: it locks if the configuration
// says so.
func (s *server) lockOnOccasion(ctx context.Context, e *engine.Engine, own helper.Request) (*helper.Result, error) {
	if !e.Config.RelocksOn(own.On) {
		return nothing(own, fmt.Sprintf("not locked: relock_on does not name %s", own.On)), nil
	}
	if own.On == helper.Logout {
		return s.lockOnLogout(ctx, e, own)
	}
	ctx, cancel := context.WithTimeout(ctx, sleepTimeout)
	defer cancel()
	return s.work(ctx, e, own), nil
}

// lockOnLogout locks when the last person has logged out. systemd starts the unit whenever
// a login changes in any way: what counts is that a person was logged in, and none is now. A
// system that is unlocked while no one is logged in (by a timer, for instance) is left
// alone. The mark stays until the system is locked: while the lock is blocked, the unit
// tries again.
func (s *server) lockOnLogout(ctx context.Context, e *engine.Engine, own helper.Request) (*helper.Result, error) {
	people, err := s.logins.People(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot lock on %s: %w", own.On, text.Because(err))
	}
	dir := statedir.Dir(e.Config.StateDir)
	if people > 0 {
		return nothing(own, "not locked: someone is logged in"), leaveMark(dir)
	}
	if _, err := os.Lstat(dir.People()); errors.Is(err, fs.ErrNotExist) {
		return nothing(own, "not locked: no one has logged out"), nil
	}
	result := s.work(ctx, e, own)
	if result.Outcome != helper.Done {
		return result, nil
	}
	if err := os.Remove(dir.People()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		result.Notices = append(result.Notices, fmt.Sprintf("cannot remove the record that someone was logged in: %v", err))
	}
	return result, nil
}

func leaveMark(dir statedir.Dir) error {
	err := dir.Make()
	if err == nil {
		err = os.WriteFile(dir.People(), nil, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot record that someone is logged in: %w", text.Because(err))
	}
	return nil
}

// nothing is the result of a request for which there was nothing to do. It is not
// recorded: a login changes often.
func nothing(r helper.Request, why string) *helper.Result {
	now := time.Now()
	return &helper.Result{Request: r, Outcome: helper.Done, Notices: []string{why}, Started: now, Finished: now}
}
