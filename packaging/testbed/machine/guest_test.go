package machine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"time"

	"immutray.org/helper"
	"immutray.org/icons"
	"immutray.org/packaging/tryout/desktop"
)

// The people of the guest (see image.sh).
const (
	root  = "root"
	admin = "rrs" // at the desk, may administer the machine
	other = "ann" // may not

	adminPassword = "open-sesame"
	otherPassword = "wonderland"
)

// installTime bounds an installation: a kernel takes the slow machine minutes.
const installTime = 10 * time.Minute

// install installs the package as an administrator would.
func (v *vm) install(pkg []byte) error {
	const there = "/var/cache/immutray.deb"
	if _, err := v.as(root).runWith(bytes.NewReader(pkg), "cat >"+there); err != nil {
		return err
	}
	_, err := v.as(root).runFor(installTime, nil, "DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet "+there)
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

// waitForState asks the guest. Where the panel shows the state too, that costs less.
func (v *vm) waitForState(want helper.State, timeout time.Duration) error {
	return waitTrying(2*time.Second, fmt.Sprintf("the system to be %s", want), timeout, func() error {
		s, err := v.state()
		if err == nil && s.State != want {
			err = fmt.Errorf("it is %s", s.State)
		}
		return err
	})
}

// look returns what is on the screen. It does so in the simplest format there is: to
// compress a picture takes QEMU longer than the guest takes to draw it.
func (v *vm) look() (*image.RGBA, error) {
	file := filepath.Join(v.dir, "screen.ppm")
	if err := v.screen.screendump(file, "ppm"); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return decodePPM(data)
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

func middle(r image.Rectangle) image.Point { return r.Min.Add(r.Max).Div(2) }

// The size of the guest's screen (see vm.start).
const screenWidth, screenHeight = 1024, 768

// handSpeed is the time between two movements of the hand: a slow machine takes a
// while until it has drawn what the pointer is on.
const handSpeed = 300 * time.Millisecond

func (v *vm) click(at image.Point) error {
	screen := image.Rect(0, 0, screenWidth, screenHeight)
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
