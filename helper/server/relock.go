package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/statedir"
)

// logins tells who is logged in.
type logins interface {
	// People counts the logins of people, wherever they sit.
	People(ctx context.Context) (int, error)
}

// sleepPatience is how long the sleep of the machine waits for writers to finish,
// whatever the configured drain time is.
const sleepPatience = 5 * time.Second

// relock does what the unit of an occasion was started for: it locks if the
// configuration says so.
func (d *desk) relock(ctx context.Context, e *engine.Engine, own helper.Request) (*helper.Result, error) {
	if !e.Config.RelocksOn(own.On) {
		return nothing(own, fmt.Sprintf("not locked: relock_on does not name %s", own.On)), nil
	}
	if own.On == config.Logout {
		return d.relockOnLogout(ctx, e, own)
	}
	ctx, cancel := context.WithTimeout(ctx, sleepPatience)
	defer cancel()
	return d.work(ctx, e, own), nil
}

// relockOnLogout locks when the last person has logged out. The unit is started
// whenever a login changes in any way: what counts is that somebody was there, and
// nobody is. A system that is unlocked while nobody is logged in (by a timer, for
// instance) is left alone. The mark stays until the lock is done: where it is blocked,
// the unit tries again.
func (d *desk) relockOnLogout(ctx context.Context, e *engine.Engine, own helper.Request) (*helper.Result, error) {
	people, err := d.logins.People(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot lock on %s: %w", own.On, helper.Because(err))
	}
	dir := statedir.Dir(e.Config.StateDir)
	if people > 0 {
		return nothing(own, "not locked: someone is logged in"), leaveMark(dir)
	}
	if _, err := os.Lstat(dir.People()); errors.Is(err, fs.ErrNotExist) {
		return nothing(own, "not locked: no one has logged out"), nil
	}
	result := d.work(ctx, e, own)
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
		return fmt.Errorf("cannot record that someone is logged in: %w", helper.Because(err))
	}
	return nil
}

// nothing is the result of a request for which there was nothing to do. It is not
// recorded: a login changes often.
func nothing(r helper.Request, why string) *helper.Result {
	now := time.Now()
	return &helper.Result{Request: r, Outcome: helper.Done, Notices: []string{why}, Started: now, Finished: now}
}
