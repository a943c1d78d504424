package tray

import (
	"errors"
	"testing"
	"time"
)

// A fakeScreen counts what it was shown.
type fakeScreen struct {
	shown int
	err   error
}

func (f *fakeScreen) Show(model) error {
	f.shown++
	return f.err
}

func TestDisplayShowsOnlyWhatIsNewOrFailed(t *testing.T) {
	var d display
	screen := &fakeScreen{err: errors.New("the tray is slow")}
	for range 2 { // after an error the same is shown again
		if err := d.show(screen, model{Tooltip: "a"}); err == nil {
			t.Error("no error")
		}
		if pause, again := d.wait(); !again || pause != showAgain {
			t.Errorf("after an error wait() = %v, %v", pause, again)
		}
	}
	screen.err = nil
	for range 2 {
		if err := d.show(screen, model{Tooltip: "a"}); err != nil {
			t.Error(err)
		}
	}
	if _, again := d.wait(); again || screen.shown != 3 {
		t.Errorf("shown %d times, again: %v; want 3 times and not again", screen.shown, again)
	}
}

func TestAbsenceIsToldOnce(t *testing.T) {
	var a absence
	now := testNow
	if _, waiting := a.wait(now); waiting || a.isDue(now) {
		t.Error("a tray is missed before anything is known of it")
	}
	a.changed(now, false)
	if left, waiting := a.wait(now.Add(time.Second)); !waiting || left != noTrayTimeout-time.Second {
		t.Errorf("wait() = %v, %v", left, waiting)
	}
	a.changed(now, true)
	if a.isDue(now.Add(time.Hour)) {
		t.Error("a tray that came in time is missed")
	}
	a.changed(now, false)
	if a.isDue(now.Add(noTrayTimeout-1)) || !a.isDue(now.Add(noTrayTimeout)) {
		t.Error("it is due too early or never")
	}
	a.changed(now, true)
	a.changed(now, false)
	if a.isDue(now.Add(time.Hour)) {
		t.Error("it is told again")
	}
}
