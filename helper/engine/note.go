package engine

import (
	"immutray.org/helper"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
	"immutray.org/helper/wholefile"
)

// wake has those who watch the state directory look again. It leaves the state alone: the
// end of a command does not always wait for its turn, and what it had read by then might
// be older than a window that somebody has opened since.
func (e *Engine) wake() {
	_ = wholefile.Write(statedir.Dir(e.Config.StateDir).Woken(), nil) // they look every few seconds anyway
}

// noteEnd forgets what was opened if all of it is locked again, and notes why what was lent
// could not be taken back. As every change of the record it is for whoever has the turn.
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
		state.Overdue = nil // that of a window goes with its deadline
	}
	if state.Opened != before.Opened || state.Overdue != before.Overdue {
		_ = statefile.Write(e.Config.StateDir, state)
	}
}

// noteOpening notes what a command is about to be lent, for whoever has to take it back. A
// record that can't be read or written keeps no command from write access.
func (e *Engine) noteOpening() {
	if state, err := statefile.Read(e.Config.StateDir); err == nil {
		state.Opened = e.opening(state)
		_ = statefile.Write(e.Config.StateDir, state)
	}
}
