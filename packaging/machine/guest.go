//go:build machine

package machine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/icons"
	"immutray.org/packaging/practice/desktop"
)

// The people of the guest (see image.sh).
const (
	root  = "root"
	admin = "rrs" // at the desk, may administer the machine
	other = "ann" // may not

	adminPassword = "open-sesame"
)

// install installs the package as an administrator would.
func (v *vm) install(pkg string) error {
	f, err := os.Open(pkg)
	if err != nil {
		return err
	}
	defer f.Close()
	const there = "/var/cache/immutray.deb"
	if _, err := v.as(root).runWith(f, "cat >"+there); err != nil {
		return err
	}
	_, err = v.as(root).run("DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet " + there)
	return err
}

// state is what the guest's own immutectl says.
func (v *vm) state() (helper.Status, error) {
	out, err := v.as(root).run("immutectl status --json")
	if err != nil {
		return helper.Status{}, err
	}
	var s helper.Status
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return helper.Status{}, fmt.Errorf("cannot read the status: %w: %s", err, out)
	}
	return s, nil
}

func (v *vm) waitForState(want helper.State, patience time.Duration) error {
	return waitFor(fmt.Sprintf("the system to be %s", want), patience, func() error {
		s, err := v.state()
		if err == nil && s.State != want {
			err = fmt.Errorf("it is %s", s.State)
		}
		return err
	})
}

// look returns what is on the screen.
func (v *vm) look() (*image.RGBA, error) {
	file := filepath.Join(v.dir, "screen.png")
	if err := v.screen.screendump(file); err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		return nil, err
	}
	rgba := image.NewRGBA(picture.Bounds())
	draw.Draw(rgba, rgba.Rect, picture, picture.Bounds().Min, draw.Src)
	return rgba, nil
}

// icon waits until the panel shows this icon in its tray, and returns its place.
func (v *vm) icon(name icons.Name) (place image.Rectangle, err error) {
	want, err := onPanel(name)
	if err != nil {
		return place, err
	}
	err = waitFor("the icon "+string(name), iconTime, func() error {
		screen, err := v.look()
		if err != nil {
			return err
		}
		place = desktop.IconPlace(screen)
		if !alike(desktop.Crop(screen, place), want) {
			return fmt.Errorf("at %v there is another one or none", place)
		}
		return nil
	})
	return place, err
}

// iconTime is how long the icon may take on the slow machine, from the login on.
const iconTime = 5 * time.Minute

// onPanel is about an icon as the panel of the guest draws it.
func onPanel(name icons.Name) (*image.RGBA, error) {
	// The panel and its colour are image.sh's; the size is what it takes for icons of 22.
	const height, size = 32, 24
	picture, err := png.Decode(bytes.NewReader(icons.PNG(name, icons.Color, size)))
	if err != nil {
		return nil, err
	}
	// As wide as IconPlace needs a screen to be: icons are in its right half.
	panel := image.NewRGBA(image.Rect(0, 0, 8*height, height))
	draw.Draw(panel, panel.Rect, image.NewUniform(color.RGBA{0x2b, 0x30, 0x3b, 0xff}), image.Point{}, draw.Src)
	at := image.Pt(6*height, (height-size)/2)
	draw.Draw(panel, picture.Bounds().Add(at), picture, image.Point{}, draw.Over)
	return desktop.Crop(panel, desktop.IconPlace(panel)), nil
}

// alike reports whether two pictures show the same: about of one size, and in a coarse
// view of one colour, since the panel scales its icons.
func alike(a, b *image.RGBA) bool {
	const margin, tolerance = 2, 24
	d := a.Rect.Size().Sub(b.Rect.Size())
	if a.Rect.Empty() || max(d.X, -d.X, d.Y, -d.Y) > margin {
		return false
	}
	return difference(a, b) <= tolerance
}

// difference is the mean of how much the colours of two pictures differ, in a grid.
func difference(a, b *image.RGBA) int {
	const grid = 6
	sum := 0
	for y := range grid {
		for x := range grid {
			ca, cb := mean(a, x, y, grid), mean(b, x, y, grid)
			for i := range ca {
				sum += max(ca[i]-cb[i], cb[i]-ca[i])
			}
		}
	}
	return sum / (grid * grid * 3)
}

// mean is the colour of one field of a grid over a picture.
func mean(p *image.RGBA, x, y, grid int) (sum [3]int) {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	field := image.Rect(x*w/grid, y*h/grid, (x+1)*w/grid, (y+1)*h/grid)
	for fy := field.Min.Y; fy < field.Max.Y; fy++ {
		for fx := field.Min.X; fx < field.Max.X; fx++ {
			c := p.RGBAAt(p.Rect.Min.X+fx, p.Rect.Min.Y+fy)
			sum[0], sum[1], sum[2] = sum[0]+int(c.R), sum[1]+int(c.G), sum[2]+int(c.B)
		}
	}
	for i := range sum {
		sum[i] /= max(1, field.Dx()*field.Dy())
	}
	return sum
}

// clickIcon clicks on the icon in the tray, and takes the pointer away again.
func (v *vm) clickIcon() error {
	screen, err := v.look()
	if err != nil {
		return err
	}
	place := desktop.IconPlace(screen)
	if place.Empty() {
		return errors.New("cannot click on the icon: there is none")
	}
	center := image.Pt((place.Min.X+place.Max.X)/2, (place.Min.Y+place.Max.Y)/2)
	return v.click(center, screen.Rect)
}

// handSpeed is the time between two movements of the hand: a slow machine takes a
// while until it has drawn what the pointer is on.
const handSpeed = 300 * time.Millisecond

func (v *vm) click(at image.Point, screen image.Rectangle) error {
	for _, step := range []func() error{
		func() error { return v.screen.movePointer(at, screen) },
		func() error { return v.screen.button(true) },
		func() error { return v.screen.button(false) },
		func() error { return v.screen.movePointer(image.Pt(screen.Dx()/4, screen.Dy()-20), screen) },
	} {
		if err := step(); err != nil {
			return err
		}
		time.Sleep(handSpeed)
	}
	return nil
}

// typeText types letters, digits and "-", as they are on an American keyboard.
func (v *vm) typeText(text string) error {
	for _, r := range text {
		key := string(r)
		if r == '-' {
			key = "minus"
		}
		if err := v.press(key); err != nil {
			return err
		}
	}
	return nil
}

// press presses one key and lets it go.
func (v *vm) press(key string) error {
	for _, down := range []bool{true, false} {
		if err := v.screen.key(key, down); err != nil {
			return err
		}
		time.Sleep(handSpeed / 5)
	}
	return nil
}

// windows returns the titles of the windows on the desk.
func (v *vm) windows() ([]string, error) {
	out, err := v.as(admin).run(`export DISPLAY=:0; for w in $(xdotool search --onlyvisible --name . 2>/dev/null); do xdotool getwindowname $w 2>/dev/null; done; true`)
	return strings.Split(strings.TrimSpace(out), "\n"), err
}

// promptTitle is the title of the password prompt of mate-polkit.
const promptTitle = "Authenticate"

// waitForPrompt waits until the password prompt is on the screen, or gone from it.
func (v *vm) waitForPrompt(there bool) error {
	return waitFor(fmt.Sprintf("the password prompt (there: %v)", there), 2*time.Minute, func() error {
		titles, err := v.windows()
		if err != nil {
			return err
		}
		found := false
		for _, t := range titles {
			found = found || t == promptTitle
		}
		if found != there {
			return fmt.Errorf("the windows are %q", titles)
		}
		return nil
	})
}
