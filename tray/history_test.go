package tray

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/history"
)

func pastWindow(since time.Time, user, reason string, end history.End, lasted time.Duration) history.Window {
	w := history.Window{Window: helper.Window{Since: since, User: user, Reason: reason}, End: end, Lasted: lasted}
	if end != history.Open {
		w.Ended = since.Add(lasted)
	}
	if end == history.Person {
		w.LockedBy = "eve"
	}
	return w
}

// askedPast reports each reading, and answers it when the test says so.
type askedPast struct {
	asked   chan bool // locked
	answers chan error
}

func (p askedPast) Read(ctx context.Context, most int, now helper.Status) (history.Past, error) {
	locked := now.State == helper.Locked
	p.asked <- locked
	select {
	case err := <-p.answers:
		return history.Past{Windows: []history.Window{pastWindow(testNow, fmt.Sprint(most, locked), "", history.Timer, 0)}}, err
	case <-ctx.Done():
		return history.Past{}, ctx.Err()
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
	s := newStageWith(t, defaultSettings(), lockedAt, func(c *controller) { c.History = p })
	p.wait(t, s, true)
	p.answers <- nil
	s.waitModel("the history", func(m model) bool { return strings.Contains(m.text(), "by 5 true: its time was over") })

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
	s.waitModel("why there is none", func(m model) bool { return strings.Contains(m.text(), "  > (Cannot read the history: no.)") })
	p.wait(t, s, false)
	p.answers <- nil
	s.waitModel("the history", func(m model) bool { return strings.Contains(m.text(), "by 5 false: its time was over") })

	// A state that is new, but of the same window, is nothing new.
	busy := partlyAt
	busy.Status.Window = s.system.Read().Status.Window
	s.system.set(busy)
	s.waitModel("the other state", func(m model) bool { return strings.HasPrefix(m.Tooltip, "Partly locked") })
	s.settle()
	s.clock.AwaitNone(t)
	if len(p.asked) > 0 {
		t.Error("the history was read once more")
	}
}

func TestReadingTheHistoryEndsWithTheApplet(t *testing.T) {
	p := askedPast{make(chan bool, 9), make(chan error)}
	s := newStageWith(t, defaultSettings(), lockedAt, func(c *controller) { c.History = p })
	p.wait(t, s, true)
	s.end()
}
