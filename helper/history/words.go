package history

import (
	"cmp"

	"immutray.org/helper"
)

// Why returns the reason of the window and the command that it was for.
func (w Window) Why() string {
	if w.Command == "" {
		return w.Reason
	}
	return cmp.Or(w.Reason, helper.RunManager) + ": " + w.Command
}

// EndWords says in words how the window ended, or that it is open. The name of the user is not
// made safe to show.
func (w Window) EndWords() string {
	switch w.End {
	case Open:
		if w.Command != "" {
			return "running"
		}
		return "still open"
	case Person:
		return "locked by " + w.LockedBy
	case Timer:
		return "its time was over"
	case Sleep:
		return "locked before the machine slept"
	case Logout:
		return "locked after the last logout"
	case Seal:
		return "shut down, sealed at the next boot"
	case Shutdown:
		return "shut down while open"
	case Command:
		return "the command ended"
	case Unseen:
		return "not known"
	case Crash:
		if w.Sealed {
			return "crash or power cut, sealed at the next boot"
		}
		return "crash or power cut"
	}
	return string(w.End) // a cause of a newer version
}
