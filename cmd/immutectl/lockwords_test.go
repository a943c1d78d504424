package main

import (
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// An unlock says what it did to the end of a window that was open.
func TestWhatBecameOfTheEnd(t *testing.T) {
	at := func(minute int) *helper.Window {
		until := time.Date(2026, 11, 30, 14, minute, 0, 0, time.Local)
		return &helper.Window{Until: &until}
	}
	endless := &helper.Window{}
	for _, test := range []struct {
		before, after *helper.Window
		want          string
	}{
		{nil, at(30), `Locks at 2026-11-30 14:30, or with "immutectl lock".`},
		{at(10), at(30), `Now locks at 2026-11-30 14:30, was 2026-11-30 14:10. Lock earlier with "immutectl lock".`},
		{at(30), at(30), `Still locks at 2026-11-30 14:30, or with "immutectl lock".`},
		{endless, at(30), `Now locks at 2026-11-30 14:30, was without an end. Lock earlier with "immutectl lock".`},
		{at(10), endless, `Does not lock by itself now, was to lock at 2026-11-30 14:10. Lock again with "immutectl lock".`},
		{endless, endless, `Lock again with "immutectl lock".`},
		{nil, endless, `Lock again with "immutectl lock".`},
	} {
		if got := lockWords(test.after, endBefore(&helper.Status{Window: test.before}, text.Clock{}), text.Clock{}); got != test.want {
			t.Errorf("from %+v to %+v: %q, want %q", test.before, test.after, got, test.want)
		}
	}
}
