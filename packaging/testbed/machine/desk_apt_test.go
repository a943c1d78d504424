package machine

import (
	"image"
	"slices"
	"testing"

	"immutray.org/helper"
	"immutray.org/icons"
)

// A click while apt is running does not interrupt it. The applet says why, and offers to lock
// when apt is done.
func (d *desk) aptIsRunning(t *testing.T) {
	unlock(t, d.vm)
	must(t, d.as(root), buildSmallPackage)
	ended := installSmallPackage(t, d.vm)
	d.expectTold(t, reminder) // which stays
	d.clickIcon(t)
	says := d.expectTold(t, "apt-get is installing packages")[0]
	if want := []string{"wait", "Lock when it is done"}; !slices.Equal(says.Actions, want) {
		t.Errorf("the buttons are %q, want %q", says.Actions, want)
	}
	_, err := d.lastNote(2)
	check(t, err)
	_, err = d.settled()
	check(t, err)
	place, err := d.lastNote(2) // by now it has grown to its size
	check(t, err)
	takePicture(t, d.vm, "apt-at-work")
	expectState(t, d.vm, helper.Unlocked)

	// The one button is at the right end of the lowest row.
	check(t, d.click(place.Max.Sub(image.Pt(80, 30))))
	d.expectTold(t, "Locks when apt-get is done")
	_, err = d.settled()
	check(t, err)
	takePicture(t, d.vm, "locks-when-done")
	expectState(t, d.vm, helper.Unlocked)
	letGoOn(t, d.vm, ended)
	expectIcon(t, d.vm, icons.Locked)
	expectState(t, d.vm, helper.Locked)
	d.expectTold(t, "Locked")
	d.expectAsked(t, nil)
	check(t, d.noNote())
	expectSmallPackage(t, d.vm)
}
