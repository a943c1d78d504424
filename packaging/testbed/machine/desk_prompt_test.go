package machine

import (
	"image"
	"regexp"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/icons"
)

// adminUID is whose password it may be (see image.sh): rrs is the one administrator.
const adminUID = 1000

// open clicks on the padlock, and returns the place of the prompt.
func (d *desk) open(t *testing.T) image.Rectangle {
	t.Helper()
	d.clickIcon(t)
	place, err := d.waitForPrompt(0)
	check(t, err)
	d.expectAsked(t, []int{adminUID})
	expectState(t, d.vm, helper.Locked)
	return place
}

// answer types a password into the prompt.
func (d *desk) answer(t *testing.T, password string) {
	t.Helper()
	check(t, d.typeText(password))
	check(t, d.press("ret"))
}

// answerWrongly types a wrong password, and waits until the prompt says so: that makes
// it wider.
func (d *desk) answerWrongly(t *testing.T, place image.Rectangle, password string) image.Rectangle {
	t.Helper()
	failure := []string{"pam_unix(polkit-1:auth)", "authentication failure", "user=" + admin}
	before := count(journal(t, d.vm), failure...)
	d.answer(t, password)
	place, err := d.waitForPrompt(place.Dx())
	check(t, err)
	if after := count(journal(t, d.vm), failure...); after != before+1 {
		t.Errorf("the journal has %d records of a wrong password, want %d", after, before+1)
	}
	expectState(t, d.vm, helper.Locked)
	return place
}

// expectCancelled waits until the applet knows that there is no answer, and fails unless
// all is as before, and nothing is said about it.
func (d *desk) expectCancelled(t *testing.T) {
	t.Helper()
	check(t, d.noPrompt())
	expectIcon(t, d.vm, icons.Locked) // while it waits it is an hourglass
	expectState(t, d.vm, helper.Locked)
	check(t, d.noNote())
	d.expectTold(t)
}

// The prompt has our sentence and our icon.
func (d *desk) escape(t *testing.T) {
	place := d.open(t)
	screen, err := d.look()
	check(t, err)
	const small = 24 // mate-polkit draws it so, in a corner of a large icon of its own
	expectDrawn(t, screen, image.Rectangle{place.Min, place.Min.Add(image.Pt(100, 130))}, small)
	takePicture(t, d.vm, "prompt-screen")
	const titleBar, margin = 29, 24
	frame := image.Rect(place.Min.X, place.Min.Y-titleBar, place.Max.X, place.Max.Y)
	keepPart(t, screen, frame.Inset(-margin), "prompt")
	check(t, d.press("esc"))
	d.expectCancelled(t)
}

func (d *desk) cancel(t *testing.T) {
	place := d.open(t)
	// The last two in the lowest row are Cancel and Authenticate.
	check(t, d.click(place.Max.Sub(image.Pt(204, 30))))
	d.expectCancelled(t)
}

func (d *desk) giveUp(t *testing.T) {
	d.answerWrongly(t, d.open(t), "wrong")
	takePicture(t, d.vm, "wrong-password")
	check(t, d.press("esc"))
	d.expectCancelled(t)
}

func (d *desk) rightPassword(t *testing.T) {
	d.answerWrongly(t, d.open(t), "wrong")
	d.answer(t, adminPassword)
	check(t, d.noPrompt())
	expectIcon(t, d.vm, icons.Unlocked)
	takePicture(t, d.vm, "unlocked-again")
	expectState(t, d.vm, helper.Unlocked)
	if says := d.expectTold(t, "Unlocked")[0]; !regexp.MustCompile(`^Unlocked until .*\d\d:\d\d$`).MatchString(says.Summary) {
		t.Errorf("it says %q, and not until when", says.Summary)
	}
	s, err := d.state()
	check(t, err)
	// The time of day at both ends is in whole seconds.
	if s.Window == nil || s.Window.User != admin || s.Window.Until == nil ||
		s.Window.Until.Sub(s.Window.Since).Round(time.Minute) != time.Hour {
		t.Errorf("the window is %+v, want it %s's and an hour long", s.Window, admin)
	}
}
