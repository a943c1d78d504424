package main

import (
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/history"
)

// Every time is in UTC and in seconds, wherever it comes from.
func TestTimesOfJSON(t *testing.T) {
	at := time.Date(2026, 11, 30, 13, 30, 15, 123456789, time.FixedZone("", 3600))
	w := helper.Window{Since: at, Until: &at}
	s := helper.Status{Window: &w, Runs: []helper.Run{{Since: at}}}
	for _, v := range []any{
		statusAt{inSeconds(at), forJSON(s)},
		reportOf([]history.Window{{Window: w, Ended: at}}),
	} {
		text, err := toJSON(v, true)
		if n := strings.Count(text, `"2026-11-30T12:30:15Z"`); err != nil || n < 3 || n != strings.Count(text, "2026-") {
			t.Errorf("toJSON() = %s, %v, want every time in UTC and in seconds", text, err)
		}
	}
	if !w.Until.Equal(at) || !s.Runs[0].Since.Equal(at) {
		t.Error("what was printed has changed")
	}
}
