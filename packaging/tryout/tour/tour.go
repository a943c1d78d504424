// Package tour shows on the practice system's desktop what the applet does, step by step. It
// keeps a picture of each step, and compares the state with what the step is about.
package tour

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"immutray.org/packaging/tryout/desktop"
	"immutray.org/packaging/tryout/system"
)

// settings make the applet remind soon enough to wait for it, once, but not before what it
// says of the unlock has left the screen.
const settings = `remind_first = "8s"
remind_every = "1h"
`

// A Tour is one run.
type Tour struct {
	Person   system.Person
	Pictures string    // the directory for the pictures
	ShownAs  string    // what the person knows that directory by
	Out      io.Writer // what happens, for the person who watches

	session  *desktop.Session
	listener *desktop.Listener
	writer   *writer
	menu     bool // is open
	heard    int  // notifications before the current step
}

// Run plays the tour.
func (t *Tour) Run() error {
	if err := t.begin(); err != nil {
		return err
	}
	defer t.end()
	for i, s := range t.steps() {
		if err := t.play(i+1, s); err != nil {
			return fmt.Errorf("step %d, %s: %w\n%s", i+1, s.name, err, t.session.Logs())
		}
	}
	return nil
}

func (t *Tour) begin() error {
	old, err := filepath.Glob(filepath.Join(t.Pictures, "[0-9][0-9]-*.png"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if err := t.Person.Configure(settings); err != nil {
		return err
	}
	session, err := desktop.New(t.Person, desktop.Options{})
	if err != nil {
		return err
	}
	t.session = session
	t.listener, err = session.Listen()
	if err != nil {
		t.end()
	}
	return err
}

func (t *Tour) end() {
	_ = t.endWriter() // which is ended with the practice system too
	if t.listener != nil {
		t.listener.Close()
	}
	t.session.Close()
}

func (t *Tour) play(number int, s step) error {
	t.heard = len(t.listener.Posted())
	if err := s.do(); err != nil {
		return err
	}
	if err := t.session.ParkPointer(); err != nil {
		return err
	}
	picture, err := t.session.Settled()
	if err != nil {
		return err
	}
	status, err := system.Status()
	if err != nil {
		return err
	}
	if status.State != s.state {
		return fmt.Errorf("the kernel says %s, the picture would say %s", status.State, s.state)
	}
	name := fmt.Sprintf("%02d-%s.png", number, s.name)
	fmt.Fprintf(t.Out, "%d. %s\n   %s\n", number, s.says, filepath.Join(t.ShownAs, name))
	if err := desktop.Save(picture, filepath.Join(t.Pictures, name)); err != nil {
		return err
	}
	return t.closeMenu()
}
