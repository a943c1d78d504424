package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/statedir"
)

// inTurn calls work while no other engine works with the same state directory.
func (e *Engine) inTurn(ctx context.Context, work func() error) error {
	return e.inTurnOf(ctx, ordinary, work)
}

// inTurnOf is inTurn for a request of a rank.
func (e *Engine) inTurnOf(ctx context.Context, rank string, work func() error) error {
	dir := statedir.Dir(e.Config.StateDir)
	if err := dir.Make(); err != nil {
		return err
	}
	// Without room for a file, as on a full /run, the fastest is first.
	var waits *os.File
	l := lineOf(e.Config.StateDir)
	if l.Make() == nil {
		waits, _ = l.enter(rank)
	}
	leave := func() {
		if waits != nil {
			l.leave(waits)
			waits = nil
		}
	}
	defer leave()
	turn, err := dir.OpenLock()
	if err != nil {
		return fmt.Errorf("cannot wait for other requests: %w", err)
	}
	defer turn.Close() // which gives up the turn
	ctx, cancel := context.WithTimeout(ctx, helper.TurnTimeout)
	defer cancel()
	for checked := time.Now(); ; {
		if waits == nil || l.first() == filepath.Base(waits.Name()) {
			taken, err := turn.Try()
			if err != nil {
				return fmt.Errorf("cannot wait for other requests: %w", err)
			}
			if taken {
				leave()
				return work()
			}
		}
		if time.Since(checked) > stoppedEvery {
			l.endStopped(turn)
			checked = time.Now()
		}
		if !sleep(ctx, lineEvery) {
			return errors.New("cannot start: another lock or unlock is still running")
		}
	}
}
