package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/systemd"
)

// jobs starts units.
type jobs interface {
	// Start starts a unit and waits until it has ended.
	Start(ctx context.Context, unit string) (systemd.End, error)
}

const (
	// maxStarts bounds how often a unit is started for one request. More than one
	// start is needed when systemd merged this one with a run that was about to end.
	maxStarts = 5
	// pollEvery is how often a server looks for the answer of a run that it did not start.
	pollEvery = 50 * time.Millisecond
)

func unitOf(verb helper.Verb) string { return "immutray-" + string(verb) + ".service" }

// delegate has PID 1 start a unit, whose process no user can freeze, kill or starve, and
// returns that process' result.
func (s *server) delegate(ctx context.Context, c config.Config, r helper.Request) (*helper.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, helper.AnswerTimeout(c.Drain))
	defer cancel() // also ends the watch for the answer
	q, err := openQueue(c.StateDir)
	if err != nil {
		return nil, err
	}
	q.sweep()
	t, err := q.put(r)
	if err != nil {
		return nil, err
	}
	defer t.close()
	if err := s.start(t.unlessAnswered(ctx), unitOf(r.Verb), t); err != nil && !t.isAnswered() {
		return nil, err
	}
	return await(ctx, unitOf(r.Verb), t)
}

// start starts the unit until a run has taken the ticket. A run that another server has
// started may take it first, and one start too many would lock once more, perhaps after
// someone's unlock. A run that this server has started, and that failed before it took the
// ticket, would fail again.
func (s *server) start(ctx context.Context, unit string, t *ticket) error {
	var last systemd.End
	for range maxStarts {
		if !t.isWaiting() {
			return nil
		}
		var err error
		last, err = s.jobs.Start(ctx, unit)
		if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, systemd.ErrNoAnswer) {
			return tooLate(unit)
		}
		if err != nil {
			return fmt.Errorf("cannot have systemd start %s: %w", unit, err)
		}
		if last.Result != "done" && !last.Merged {
			break
		}
	}
	if t.isWaiting() {
		return neverWorked(unit, last)
	}
	return nil
}

// neverWorked is the error for a unit that has ended before it took the request. Its own
// error is in the journal; its exit status is the helper's.
func neverWorked(unit string, e systemd.End) error {
	how := e.Result
	switch {
	case e.Status == helper.ExitConfigRefused:
		return fmt.Errorf("cannot have systemd start %s: %w; see \"journalctl -u %s\"", unit, config.ErrRefused, unit)
	case e.Status >= 0:
		how += fmt.Sprintf(", exit status %d", e.Status)
	}
	return fmt.Errorf("cannot have systemd start %s: it ended (%s) before it began to work; see \"journalctl -u %s\"", unit, how, unit)
}

// await returns the answer to a ticket that was taken. Mostly it is there already, but the
// run may be one that another server has started, and still be working.
func await(ctx context.Context, unit string, t *ticket) (*helper.Result, error) {
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	for {
		// In this order: a run that works now may be done before the look for the answer.
		working := t.queue.IsUsed()
		result, err := t.answer()
		switch {
		case result != nil || err != nil:
			return result, err
		case !working:
			return nil, fmt.Errorf("cannot get the result of %s: it ended without an answer; see \"journalctl -u %s\"", unit, unit)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, tooLate(unit)
		}
	}
}

func tooLate(unit string) error {
	return fmt.Errorf("cannot wait for %s any longer; it may still be running", unit)
}
