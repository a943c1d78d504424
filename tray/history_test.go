package tray

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/history"
	"immutray.org/helper/journal"
)

func past(since time.Time, user, reason string, end history.End, lasted time.Duration) history.Window {
	w := history.Window{Window: helper.Window{Since: since, User: user, Reason: reason}, End: end, Lasted: lasted}
	if end != history.Open {
		w.Ended = since.Add(lasted)
	}
	if end == history.Person {
		w.LockedBy = "eve"
	}
	return w
}

func TestHistoryInTheMenu(t *testing.T) {
	crashed := past(testNow.AddDate(0, 0, -1), "rrs", "", history.Crash, time.Hour)
	crashed.Sealed = true
	ran := past(testNow.Add(-5*time.Hour), "root", "", history.Command, 5*time.Minute)
	ran.Command = "apt upgrade"
	tests := []struct {
		name string
		past *Past
		want string
	}{
		{"not read yet", nil, ""},
		{"none", &Past{}, `
History
  > (No unlocks in the journal)
`},
		{"some", &Past{Windows: []history.Window{
			past(testNow.Add(-23*time.Minute), "rrs", "new kernel", history.Open, 0),
			past(testNow.Add(-2*time.Hour), "rrs", "", history.Person, 42*time.Minute),
			crashed,
			past(testNow.AddDate(0, 0, -2), "r\ns", "a\u202eb", history.Timer, time.Hour),
			past(testNow.AddDate(0, -2, 0), "", strings.Repeat("why ", 50), "comet", 0),
			ran,
		}}, `
History
  > (13:44 by rrs (new kernel): still open)
  > (12:07 for 42 min by rrs: locked by eve)
  > (Tue 14:07 for 1 h by rrs: crash or power cut, sealed at the next boot)
  > (Mon 14:07 for 1 h by r\ns (a\u202eb): its time was over)
  > (4 Jan 14:07 for less than 1 min (why why why w…y why why why why why why ): comet)
  > (09:07 for 5 min by root (immutectl run: apt upgrade): the command ended)
`},
		{"not allowed", &Past{Err: fmt.Errorf("cannot read the history: %w", journal.ErrNotAllowed), Hint: client.Hint(journal.ErrNotAllowed)}, `
History
  > (Cannot read the history: you are not allowed to read the)
  > (system journal.)
  > (Run "sudo immutectl history", or have an administrator add)
  > (you to the group systemd-journal.)
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, rest, _ := strings.Cut(Build(Snapshot{Now: testNow, Report: lockedAt, Past: test.past}).text(), "I lock it…\n---\n")
			got, _, _ := strings.Cut(rest, "About Immutray")
			if want := strings.TrimPrefix(test.want, "\n"); got != want {
				t.Errorf("the menu has\n%swant\n%s", got, want)
			}
		})
	}
}

// askedPast tells of each reading, and answers it when the test says so.
type askedPast struct {
	asked   chan bool // locked
	answers chan error
}

func (p askedPast) Read(ctx context.Context, most int, now helper.Status) ([]history.Window, error) {
	locked := now.State == helper.Locked
	p.asked <- locked
	select {
	case err := <-p.answers:
		return []history.Window{past(testNow, fmt.Sprint(most, locked), "", history.Timer, 0)}, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p askedPast) wait(t *testing.T, s *stage, locked bool) {
	t.Helper()
	s.clock.Await(t, recorded)
	s.passTime(recorded)
	select {
	case got := <-p.asked:
		if got != locked {
			t.Errorf("read as if locked were %t", got)
		}
	case <-time.After(timeout):
		t.Fatal("the history was not read")
	}
}

// It is read at the start and when a window opens, ends or is extended, and the menu
// goes on meanwhile.
func TestHistoryIsReadWhenItHasChanged(t *testing.T) {
	p := askedPast{make(chan bool, 9), make(chan error)}
	s := newStageWith(t, DefaultSettings(), lockedAt, func(c *Controller) { c.History = p })
	p.wait(t, s, true)
	p.answers <- nil
	s.waitModel("the history", func(m Model) bool { return strings.Contains(m.text(), "by 5 true: its time was over") })

	s.system.set(unlockedAt)
	s.waitTooltip("Unlocked for 23 min by rrs")
	p.wait(t, s, false)
	// While it is read, the window is extended, and is then what it was.
	longer := unlockedAt
	window, until := *longer.Status.Window, testNow.Add(time.Hour)
	window.Until = &until
	longer.Status.Window = &window
	s.system.set(longer)
	s.waitTooltip("Unlocked for 23 min by rrs, locks at 15:07")
	s.system.set(unlockedAt)
	s.waitTooltip("Unlocked for 23 min by rrs")
	p.answers <- errors.New("cannot read the history: no")
	s.waitModel("why there is none", func(m Model) bool { return strings.Contains(m.text(), "  > (Cannot read the history: no.)") })
	p.wait(t, s, false)
	p.answers <- nil
	s.waitModel("the history", func(m Model) bool { return strings.Contains(m.text(), "by 5 false: its time was over") })

	// A state that is new, but of the same window, is nothing new.
	busy := partlyAt
	busy.Status.Window = s.system.Read().Status.Window
	s.system.set(busy)
	s.waitModel("the other state", func(m Model) bool { return strings.HasPrefix(m.Tooltip, "Partly locked") })
	s.settle()
	s.clock.AwaitNone(t)
	if len(p.asked) > 0 {
		t.Error("the history was read once more")
	}
}

func TestReadingTheHistoryEndsWithTheApplet(t *testing.T) {
	p := askedPast{make(chan bool, 9), make(chan error)}
	s := newStageWith(t, DefaultSettings(), lockedAt, func(c *Controller) { c.History = p })
	p.wait(t, s, true)
	s.end()
}
