package tray

import (
	"errors"
	"testing"
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
