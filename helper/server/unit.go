package server

import (
	"context"
	"fmt"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/engine"
)

// serveAsUnit is what the process of a unit does. own is the request of its command line.
// The units of a timer and of an occasion serve that. All others serve the queue. A lock
// that finds the queue empty serves its own, which is root's. An unlock never does, nor a
// lock by force: then the unit was only started once too often.
func (s *server) serveAsUnit(ctx context.Context, e *engine.Engine, own helper.Request) (*helper.Result, error) {
	switch {
	case own.On != "":
		return s.lockOnOccasion(ctx, e, own)
	case own.Due:
		return s.work(ctx, e, own), nil
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
	last, err := s.serveQueue(ctx, e, q, own.Verb)
	switch {
	case last != nil || err != nil:
		return last, err
	case own.Verb != helper.Lock:
		return nil, fmt.Errorf("cannot %s: no request is waiting; use \"immutectl\"", own.Verb)
	}
	return s.work(ctx, e, own), nil
}

// serveQueue serves every request that waits for the verb, and returns the last result; nil
// where none was waiting.
func (s *server) serveQueue(ctx context.Context, e *engine.Engine, q queue, verb helper.Verb) (*helper.Result, error) {
	var last *helper.Result
	// What is left for the next run has a whole one of its own.
	for began := time.Now(); time.Since(began)+helper.RequestTimeout(e.Config.Drain) <= helper.UnitTimeout; {
		alike, err := q.takeAlike(verb)
		if len(alike) == 0 {
			if last != nil {
				err = nil // what was done is reported, and the next run finds what cannot be taken
			}
			return last, err
		}
		last = s.work(ctx, e, alike[0])
		for _, r := range alike {
			answer := *last
			answer.Request = r
			if err := q.reply(&answer); err != nil {
				// The server that waits reports that there is no answer. What was done stays true.
				last.Notices = append(last.Notices, err.Error())
			}
		}
	}
	return last, nil
}
