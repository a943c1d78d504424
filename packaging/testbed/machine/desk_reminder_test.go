package machine

import (
	"image"
	"regexp"
	"slices"
	"testing"

	"immutray.org/helper"
	"immutray.org/icons"
)

// reminder waits for the reminder, and returns what it says and where it is.
func (d *desk) reminder(t *testing.T) (says notification, place image.Rectangle) {
	t.Helper()
	says = d.expectTold(t, reminder)[0]
	_, err := d.note()
	check(t, err)
	screen, err := d.settled()
	check(t, err)
	place, err = d.note() // by now it has grown to its size
	check(t, err)
	if !place.In(screen.Rect) {
		t.Errorf("the reminder is at %v, not within the screen", place)
	}
	expectDrawn(t, screen, place, 48)
	// The padlock in the panel, and what is below it.
	part := image.Rect(place.Min.X-24, 0, screenWidth, place.Max.Y+24)
	keepPart(t, screen, part, "unlocked")
	takePicture(t, d.vm, "reminder")
	return says, place
}

// A reminder is critical, and stays until something is done. Its button locks.
func (d *desk) reminderLocks(t *testing.T) {
	says, place := d.reminder(t)
	if says.Urgency != critical || says.Expire != 0 {
		t.Errorf("the reminder has the urgency %d and expires after %v, want %d and never", says.Urgency, says.Expire, critical)
	}
	if want := []string{"lock", "Lock now", "snooze", "Remind me in 1 hour"}; !slices.Equal(says.Actions, want) {
		t.Errorf("the buttons are %q, want %q", says.Actions, want)
	}
	// Two buttons share the lowest row.
	button := image.Rect(place.Min.X, place.Max.Y-48, (place.Min.X+place.Max.X)/2, place.Max.Y-14)
	check(t, d.click(middle(button)))
	expectIcon(t, d.vm, icons.Locked)
	if pressed, err := d.session.messages("ActionInvoked"); err != nil || len(pressed) != 1 {
		t.Errorf("the buttons pressed are %s, %v, want one", pressed, err)
	}
	expectState(t, d.vm, helper.Locked)
	d.expectTold(t, "Locked")
	d.expectAsked(t, nil)
	// That it is locked is told for a few seconds; a reminder would stay.
	check(t, d.noNote())
}

// It comes again after the next unlock. Time passes by the clock on the wall: the text
// names it, while what is waited for does not depend on it.
func (d *desk) reminderAgain(t *testing.T) {
	must(t, d.as(root), "date --set=+23minutes")
	check(t, d.noNote())
	says, _ := d.reminder(t)
	if !regexp.MustCompile(`^Unlocked for 23 min by rrs, since (.* )?\d\d:\d\d\.\nIt locks by itself at (.* )?\d\d:\d\d\.$`).MatchString(says.Body) {
		t.Errorf("the reminder says %q", says.Body)
	}
}

// expectDrawn fails unless the open padlock is drawn somewhere in an area, and not the
// closed one.
func expectDrawn(t *testing.T, screen *image.RGBA, area image.Rectangle, size int) {
	t.Helper()
	unlike := map[icons.Name]int{}
	for _, name := range []icons.Name{icons.Unlocked, icons.Locked} {
		icon, err := dots(name, size)
		check(t, err)
		unlike[name] = unlikeness(screen, area, icon, size)
	}
	const most = 20
	if unlike[icons.Unlocked] > most || unlike[icons.Locked] <= most {
		t.Errorf("the open padlock is not drawn in %v: what is most like one differs by %v", area, unlike)
	}
}
