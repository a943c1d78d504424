package engine

import (
	"context"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/statefile"
)

// dueDrain is the most that the lock at the end of a window waits for writers in one attempt.
// Others follow, and in between the person has to learn which programs write.
const dueDrain = 5 * time.Second

// drain returns how long a request waits for writers to finish.
func (e *Engine) drain(r helper.Request) time.Duration {
	switch {
	case r.Due:
		return min(e.Config.Drain, dueDrain)
	case r.Verb.AtBoot():
		return min(e.Config.Drain, helper.BootDrain)
	}
	return e.Config.Drain
}

// untilOverdue limits how long a person's lock waits for writers: after the end of a window it
// would delay the lock that is due, and the person would not learn which programs write.
func (e *Engine) untilOverdue(ctx context.Context, d *statefile.Deadline) (context.Context, context.CancelFunc) {
	if d == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(e.left(d), 0)+dueDrain)
}

// overdue returns the state of the lock at the end of a window: how the last attempt failed
// since then, whoever asked for it.
func (e *Engine) overdue(result *helper.Result, next statefile.State) *helper.Overdue {
	switch {
	case !e.isOver(next.Deadline):
		return nil
	case result.Request.Verb == helper.Lock && result.Outcome != helper.Done:
		return &helper.Overdue{
			Outcome:     result.Outcome,
			Error:       result.Error,
			Writers:     result.Writers,
			MoreWriters: result.MoreWriters,
			Busy:        result.Busy,
		}
	}
	return next.Overdue
}
