package engine

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/journal"
)

func TestTheJournalTellsOfWindows(t *testing.T) {
	f := newTimedFixture(t)
	f.closeTop()
	var outcomes []journal.Entry
	f.engine.Journal = func(e journal.Entry) {
		if e.MessageID == MessageOutcome {
			outcomes = append(outcomes, e)
		}
	}
	f.unlock(helper.Request{For: 30 * time.Minute, Reason: "new kernel"})
	f.pass(30 * time.Minute)
	f.due()
	var messages []string
	for _, e := range outcomes {
		messages = append(messages, e.Message)
	}
	if want := []string{"unlock for rrs (new kernel): done, the system is unlocked", "lock for the end of the window: done, the system is locked"}; !slices.Equal(messages, want) {
		t.Errorf("journal %q, want %q", messages, want)
	}
	for i, want := range []map[string]string{
		{
			"IMMUTRAY_CAUSE": "person", "IMMUTRAY_STATE": "unlocked", "IMMUTRAY_REASON": "new kernel", "IMMUTRAY_UNTIL": "2026-11-23T14:30:00Z",
			"IMMUTRAY_WINDOW_USER": "rrs", "IMMUTRAY_WINDOW_UID": "1000", "IMMUTRAY_WINDOW_REASON": "new kernel",
		},
		// The window that has ended.
		{
			"IMMUTRAY_CAUSE": "timer", "IMMUTRAY_STATE": "locked", "IMMUTRAY_REASON": "", "IMMUTRAY_UNTIL": "2026-11-23T14:30:00Z",
			"IMMUTRAY_WINDOW_USER": "rrs", "IMMUTRAY_WINDOW_UID": "1000", "IMMUTRAY_WINDOW_REASON": "new kernel",
		},
	} {
		for field, value := range want {
			if got := outcomes[i].Fields[field]; got != value {
				t.Errorf("record %d: %s=%q, want %q", i, field, got, value)
			}
		}
	}
	first, second := outcomes[0].Fields, outcomes[1].Fields
	if since := first["IMMUTRAY_WINDOW_SINCE"]; since == "" || second["IMMUTRAY_WINDOW_SINCE"] != since {
		t.Errorf("the window began %q, and %q", since, second["IMMUTRAY_WINDOW_SINCE"])
	}
	if took := sinceBoot(t, second) - sinceBoot(t, first); took != 30*time.Minute {
		t.Errorf("between the records there are %v, want the half hour of the clock", took)
	}
}

func sinceBoot(t *testing.T, fields map[string]string) time.Duration {
	t.Helper()
	usec, err := strconv.ParseInt(fields["IMMUTRAY_BOOTTIME_USEC"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(usec) * time.Microsecond
}

// An extension may give another reason, or leave the one there is.
func TestReasonOfAWindow(t *testing.T) {
	f := newTimedFixture(t)
	for _, step := range []struct{ given, want string }{
		{"", ""}, {"new kernel", "new kernel"}, {"", "new kernel"}, {"firmware", "firmware"},
	} {
		r := f.unlock(helper.Request{Reason: step.given})
		if got := r.Status.Window.Reason; got != step.want {
			t.Errorf("after an unlock with the reason %q the window has %q, want %q", step.given, got, step.want)
		}
	}
	f.must(helper.Lock)
	if got := f.unlock(helper.Request{}).Status.Window.Reason; got != "" {
		t.Errorf("a new window has the old reason %q", got)
	}
}
