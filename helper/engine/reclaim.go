package engine

import (
	"context"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/run/records"
	"immutray.org/helper/statefile"
)

// Reclaim ends the write access of abandoned commands: those whose runner and guardian are
// dead. After a system-wide command it ends the window, unless there was another unlock since.
// The result is that of the last command, nil if there was none.
func (e *Engine) Reclaim(ctx context.Context) *helper.Result {
	var last *helper.Result
	for _, run := range records.Abandoned(e.Config.StateDir) {
		result := e.reclaim(ctx, run)
		if result.Outcome == helper.Done {
			records.Clear(e.Config.StateDir, run.ID)
		}
		if last == nil || last.Outcome == helper.Done {
			last = result
		}
	}
	return last
}

func (e *Engine) reclaim(ctx context.Context, run helper.Run) *helper.Result {
	if run.SystemWide {
		if state, err := statefile.Read(e.Config.StateDir); err == nil && !isOf(state.Last, run) {
			return &helper.Result{Request: state.Last.Request, Outcome: helper.Done, Status: state.Last.Status}
		}
		return e.Run(ctx, helper.Request{Verb: helper.Lock, AfterRun: true, ID: run.ID, UID: run.UID, User: run.User, Reason: run.Program() + " had no guardian any more"})
	}
	g := &Grant{engine: e.recording(run), run: run, record: &records.Record{}, open: map[string]bool{}, again: true}
	result := g.newResult()
	if err := g.openPaths(); err != nil {
		fail(result, err)
		result.Finished = time.Now()
		return result
	}
	return g.End(ctx, nil)
}

// isOf reports whether the open window, if there is one, may be that of a system-wide command:
// the last request is its unlock, or is not known.
func isOf(last *helper.Result, run helper.Run) bool {
	return last == nil || last.Request.Verb != helper.Unlock || last.Outcome != helper.Done ||
		last.Request.Reason == records.WindowReason(run)
}
