package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/systemd"
)

// jobs starts units.
type jobs interface {
	// Start starts a unit and waits until it has ended.
	Start(ctx context.Context, unit string) (systemd.End, error)
}

const (
	// maxStarts bounds how often a unit is started for one request. More than one
	// start is needed when systemd merged ours with a run that was about to end.
	maxStarts = 5
	// pollEvery is how often a desk looks for the answer of a run that it did not start.
	pollEvery = 50 * time.Millisecond
)

func unitOf(verb helper.Verb) string { return "immutray-" + string(verb) + ".service" }

// delegate has PID 1 do the work, in a process that no user can freeze, kill or
// starve, and returns what that process answered.
func (d *desk) delegate(ctx context.Context, c config.Config, r helper.Request) (*helper.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, helper.DeskLimit(c.Drain))
	defer cancel() // ends what watches for the answer, too
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
	if err := d.start(t.unlessAnswered(ctx), unitOf(r.Verb), t); err != nil && !t.isAnswered() {
		return nil, err
	}
	return await(ctx, unitOf(r.Verb), t)
}

// start has the unit run until a run has taken the ticket. A run that another desk
// has started may take it before us; a start too many would lock once more, perhaps
// after someone's unlock. A run of ours that failed without taking it would fail again.
func (d *desk) start(ctx context.Context, unit string, t *ticket) error {
	var last systemd.End
	for range maxStarts {
		if !t.isWaiting() {
			return nil
		}
		var err error
		last, err = d.jobs.Start(ctx, unit)
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

// neverWorked tells what is known of a unit that ended before it began to work. Its own
// words are in the journal; its exit status is the helper's.
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

// await returns the answer to a ticket that was taken: mostly it is there, but the run
// may be another desk's and still be at work.
func await(ctx context.Context, unit string, t *ticket) (*helper.Result, error) {
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	for {
		// In this order: who is at work now may be done when we look for the answer.
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

// serveQueue is what a unit does: it works off every request that waits, and returns
// the last result. A lock that nobody waits for is root's own. An unlock never is, nor a
// lock by force: all it could be is a start too many. The units of a timer and of an
// occasion have one thing to do, and no queue.
func (d *desk) serveQueue(ctx context.Context, e *engine.Engine, own helper.Request) (*helper.Result, error) {
	switch {
	case own.On != "":
		return d.relock(ctx, e, own)
	case own.Due:
		return d.work(ctx, e, own), nil
	}
	q, err := openQueue(e.Config.StateDir)
	if err != nil {
		return nil, err
	}
	stop, err := q.work()
	if err != nil {
		return nil, err
	}
	defer stop()
	var last *helper.Result
	// What is left for the next run has a whole one of its own.
	for began := time.Now(); time.Since(began)+helper.RequestLimit(e.Config.Drain) <= helper.UnitLimit; {
		alike, err := q.takeAlike(own.Verb)
		switch {
		case len(alike) > 0:
		case last != nil:
			return last, nil
		case err != nil:
			return nil, err
		case own.Verb != helper.Lock:
			return nil, fmt.Errorf("cannot %s: no request is waiting; use \"immutectl\"", own.Verb)
		default:
			return d.work(ctx, e, own), nil
		}
		last = d.work(ctx, e, alike[0])
		for _, r := range alike {
			answer := *last
			answer.Request = r
			if err := q.reply(&answer); err != nil {
				// Who asked is told that there is no answer; what was done stays true.
				last.Notices = append(last.Notices, err.Error())
			}
		}
	}
	return last, nil
}

// work has the engine carry out a request. What was learned on the way is told with the
// result.
func (d *desk) work(ctx context.Context, e *engine.Engine, r helper.Request) *helper.Result {
	result := d.run(e, ctx, r)
	result.Notices = append(result.Notices, d.told.take()...)
	return result
}

// told are the sentences that the asker has still to be told, each once.
type told []string

func (t *told) add(sentence string) {
	if !slices.Contains(*t, sentence) {
		*t = append(*t, sentence)
	}
}

func (t *told) take() []string {
	sentences := *t
	*t = nil
	return sentences
}
