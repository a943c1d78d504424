package desktop

import (
	"fmt"
	"image"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// Mouse buttons, as X counts them.
const (
	Left  = 1
	Right = 3
)

// xdotool runs xdotool as the person and returns what it prints.
func (s *Session) xdotool(args ...string) (string, error) {
	cmd := exec.Command("xdotool", args...)
	cmd.Env = s.Env()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: s.person.UID, Gid: s.person.GID}}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("xdotool %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// Click moves the pointer to the middle of a place and presses a button there.
func (s *Session) Click(place image.Rectangle, button int) error {
	middle := place.Min.Add(place.Max).Div(2)
	_, err := s.xdotool("mousemove", "--sync", strconv.Itoa(middle.X), strconv.Itoa(middle.Y), "click", strconv.Itoa(button))
	return err
}

// ParkPointer moves the pointer away from everything that lights up below it.
func (s *Session) ParkPointer() error {
	_, err := s.xdotool("mousemove", "20", strconv.Itoa(Height-20))
	return err
}

// ClickIcon clicks on the tray's icon, and moves the pointer away again.
func (s *Session) ClickIcon(button int) error {
	place, _, err := s.Icon()
	if err != nil {
		return err
	}
	if err := s.Click(place, button); err != nil {
		return err
	}
	return s.ParkPointer()
}

// Key presses a key, for the window that has the keyboard.
func (s *Session) Key(name string) error {
	_, err := s.xdotool("key", name)
	return err
}

// Window returns the id of a visible window whose title contains the text, "" when
// there is none.
func (s *Session) Window(title string) string {
	// Exit code 1 means that there is none.
	out, err := s.xdotool("search", "--onlyvisible", "--name", regexp.QuoteMeta(title))
	if err != nil {
		return ""
	}
	id, _, _ := strings.Cut(out, "\n")
	return id
}

// parseGeometry reads what "xdotool getwindowgeometry --shell" says of one window.
func parseGeometry(text string) (image.Rectangle, error) {
	var window, x, y, width, height, screen int
	_, err := fmt.Sscanf(text, "WINDOW=%d\nX=%d\nY=%d\nWIDTH=%d\nHEIGHT=%d\nSCREEN=%d", &window, &x, &y, &width, &height, &screen)
	if err != nil {
		return image.Rectangle{}, fmt.Errorf("cannot read the geometry %q: %w", text, err)
	}
	return image.Rect(x, y, x+width, y+height), nil
}

// Center moves a window to the middle of the screen: xfwm4 puts those of GTK 4 into
// the corner.
func (s *Session) Center(title string) error {
	id, err := s.WaitForWindow(title, true)
	if err != nil {
		return err
	}
	if _, err := s.Settled(); err != nil { // it has its size
		return err
	}
	out, err := s.xdotool("getwindowgeometry", "--shell", id)
	if err != nil {
		return err
	}
	place, err := parseGeometry(out)
	if err != nil {
		return err
	}
	_, err = s.xdotool("windowmove", id, strconv.Itoa((Width-place.Dx())/2), strconv.Itoa((Height-place.Dy())/2))
	return err
}

// WaitForWindow waits for such a window to appear, and returns its id, or to
// disappear.
func (s *Session) WaitForWindow(title string, visible bool) (id string, err error) {
	err = s.WaitFor(fmt.Sprintf("a window %q to be visible: %v", title, visible), func() (bool, error) {
		id = s.Window(title)
		return (id != "") == visible, nil
	})
	return id, err
}

// Answer gives the keyboard to a window and presses a key in it.
func (s *Session) Answer(title, key string) error {
	id, err := s.WaitForWindow(title, true)
	if err != nil {
		return err
	}
	// The applet takes a prompt that ends at once for one that could not be shown, so the
	// prompt is on the screen for a moment first.
	if _, err := s.Settled(); err != nil {
		return err
	}
	if _, err := s.xdotool("windowactivate", "--sync", id, "key", "--clearmodifiers", key); err != nil {
		return err
	}
	_, err = s.WaitForWindow(title, false)
	return err
}
