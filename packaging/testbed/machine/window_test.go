package machine

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"slices"
	"strings"
	"time"

	"immutray.org/packaging/tryout/desktop"
)

// onDisplay runs a command that may look at the display. It runs as root: another login of
// the person would make the slow machine start more.
func (v *vm) onDisplay(command string) (string, error) {
	return v.as(root).run("export DISPLAY=:0 XAUTHORITY=/run/lightdm/root/:0; " + command)
}

// places returns where the visible windows are that xdotool(1) finds. It does not ask
// xdotool itself, which counts the frame of a window twice.
func (v *vm) places(search string) ([]image.Rectangle, error) {
	out, err := v.onDisplay("for w in $(xdotool search --onlyvisible " + search + " 2>/dev/null); do xwininfo -id $w; done; true")
	if err != nil {
		return nil, err
	}
	return parsePlaces(out)
}

// parsePlaces reads the output of xwininfo(1).
func parsePlaces(out string) ([]image.Rectangle, error) {
	var places []image.Rectangle
	var x, y, width, height int
	for line := range strings.Lines(out) {
		for format, into := range map[string]*int{
			"Absolute upper-left X: %d": &x, "Absolute upper-left Y: %d": &y, "Width: %d": &width, "Height: %d": &height,
		} {
			fmt.Sscanf(strings.TrimSpace(line), format, into)
		}
		// The last of the four.
		if strings.HasPrefix(strings.TrimSpace(line), "Height:") {
			places = append(places, image.Rect(x, y, x+width, y+height))
		}
	}
	for _, place := range places {
		if place.Empty() {
			return nil, fmt.Errorf("cannot read where the windows are: %s", out)
		}
	}
	return places, nil
}

// noteTime is how long a notification may take to come or to go.
const noteTime = 2 * time.Minute

// note waits until one notification is on the screen, and returns its place.
func (v *vm) note() (image.Rectangle, error) { return v.lastNote(1) }

// lastNote waits until so many notifications are on the screen, and returns the place of
// the lowest: a later one is below those that were there before it.
func (v *vm) lastNote(number int) (place image.Rectangle, err error) {
	err = waitFor("a notification on the screen", noteTime, func() error {
		places, err := v.places("--class notifyd")
		if err == nil && len(places) != number {
			err = fmt.Errorf("there are %d, want %d", len(places), number)
		}
		if err == nil {
			place = slices.MaxFunc(places, func(a, b image.Rectangle) int { return a.Max.Y - b.Max.Y })
		}
		return err
	})
	return place, err
}

// noNote waits until there is no notification on the screen.
func (v *vm) noNote() error {
	return waitFor("the notifications to be gone", noteTime, func() error {
		places, err := v.places("--class notifyd")
		if err == nil && len(places) > 0 {
			err = fmt.Errorf("they are at %v", places)
		}
		return err
	})
}

// promptTitle is the title of the password prompt of mate-polkit.
const promptTitle = "Authenticate"

const promptTime = 2 * time.Minute

// prompt is the place of the password prompt; empty when there is none.
func (v *vm) prompt() (place image.Rectangle, err error) {
	places, err := v.places("--name '^" + promptTitle + "$'")
	for _, p := range places {
		place = place.Union(p)
	}
	return place, err
}

// waitForPrompt waits until a prompt that is wider than some width takes a password, and
// returns its place.
func (v *vm) waitForPrompt(wider int) (place image.Rectangle, err error) {
	err = waitFor("the password prompt", promptTime, func() error {
		title, err := v.onDisplay("xdotool getwindowfocus getwindowname")
		if err != nil {
			return err
		}
		if title := strings.TrimSpace(title); title != promptTitle {
			return fmt.Errorf("%q has the keyboard", title)
		}
		screen, err := v.settled()
		if err != nil {
			return err
		}
		place, err = v.prompt()
		switch {
		case err != nil:
			return err
		case place.Dx() <= wider:
			return fmt.Errorf("it is at %v", place)
		case !hasEntry(screen, place):
			return errors.New("nothing can be typed into it")
		}
		return nil
	})
	return place, err
}

func (v *vm) noPrompt() error {
	return waitFor("the password prompt to be gone", promptTime, func() error {
		place, err := v.prompt()
		if err == nil && !place.Empty() {
			err = fmt.Errorf("it is at %v", place)
		}
		return err
	})
}

// hasEntry reports whether there is an entry that has the keyboard: Adwaita draws a
// border of this colour around it, and nothing else in it.
func hasEntry(screen *image.RGBA, within image.Rectangle) bool {
	border := color.RGBA{0x35, 0x84, 0xe4, 0xff}
	found := 0
	for y := within.Min.Y; y < within.Max.Y; y++ {
		for x := within.Min.X; x < within.Max.X; x++ {
			if screen.RGBAAt(x, y) == border {
				found++
			}
		}
	}
	// Two sides of an entry of the dialog are longer than the dialog is wide.
	return found > within.Dx()
}

// settled returns the screen as soon as nothing on it has moved for a moment.
func (v *vm) settled() (screen *image.RGBA, err error) {
	err = waitFor("the screen to settle", promptTime, func() error {
		before := screen
		screen, err = v.look()
		if err == nil && (before == nil || !desktop.Same(before, screen)) {
			err = errors.New("it moves")
		}
		return err
	})
	return screen, err
}
