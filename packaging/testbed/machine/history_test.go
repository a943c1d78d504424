package machine

import (
	"encoding/json"
	"testing"
	"time"

	"immutray.org/helper"
)

// A pastWindow is one in the output of "immutectl history --json".
type pastWindow struct {
	helper.Window
	End           string     `json:"end"`
	Ended         *time.Time `json:"ended"`
	LastedSeconds int64      `json:"lasted_seconds"`
	Sealed        bool       `json:"sealed"`
}

// lastWindow returns the latest window of the guest.
func lastWindow(t *testing.T, v *vm) pastWindow {
	t.Helper()
	var history struct{ Windows []pastWindow }
	check(t, json.Unmarshal([]byte(must(t, v.as(root), "journalctl --sync; immutectl history --json -n 1")), &history))
	if len(history.Windows) != 1 {
		t.Fatalf("the history has %d windows, want the last one", len(history.Windows))
	}
	return history.Windows[0]
}

// expectEnd fails unless the last window ended in that way.
func expectEnd(t *testing.T, v *vm, want string) {
	t.Helper()
	if w := lastWindow(t, v); w.End != want || w.Ended == nil {
		t.Errorf("the last window ended by %q at %v, want %q: %+v", w.End, w.Ended, want, w)
	}
}
