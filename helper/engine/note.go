package engine

import (
	"immutray.org/helper"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
	"immutray.org/helper/wholefile"
)

// wake has those who watch the state directory read the state again. It does not change the
// state file: the end of a command does not always wait for its turn, and what it has read by
// then may be older than a window that was opened since.
func (e *Engine) wake() {
	_ = wholefile.Write(statedir.Dir(e.Config.StateDir).Woken(), nil) // they read it every few seconds anyway
}

// noteEnd clears the record of what was opened if all of it is locked again, and records why
// the write access could not be taken back. As every change of the state file, it must be
// called in turn.
func (e *Engine) noteEnd(failed error) {
	state, err := statefile.Read(e.Config.StateDir)
	if err != nil {
		return // the next lock does it
	}
	before := state
	if state.Opened != nil && stillOpen(state.Opened, lockstate.For(e.Config).Read()) == nil {
		state.Opened = nil
	}
	switch {
	case failed != nil:
		state.Overdue = &helper.Overdue{Outcome: helper.Failed, Error: failed.Error()}
	case state.Deadline == nil:
		state.Overdue = nil // the one of a window is removed with its deadline
	}
	if state.Opened != before.Opened || state.Overdue != before.Overdue {
		_ = statefile.Write(e.Config.StateDir, state)
	}
}

// noteOpening records what is about to be made writable for a command, for whoever has to take
// it back. The grant does not depend on it: if the state file can't be read or written, the
// command runs all the same.
func (e *Engine) noteOpening() {
	if state, err := statefile.Read(e.Config.StateDir); err == nil {
		state.Opened = e.opening(state)
		_ = statefile.Write(e.Config.StateDir, state)
	}
}
