// Package tour shows on the practice system's desktop what the applet does, step by step. It
// keeps a picture of each step, and compares the state with what the step is about.
package tour

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"immutray.org/helper"
	"immutray.org/packaging/tryout/desktop"
	"immutray.org/packaging/tryout/pkexec"
	"immutray.org/packaging/tryout/system"
)

// settings make the applet remind soon enough to wait for it, once.
const settings = `remind_first = "5s"
remind_every = "1h"
`

// writtenFile is what the tour's writer holds open.
const writtenFile = "/etc/hosts"

// A Tour is one run.
type Tour struct {
	Person   system.Person
	Pictures string    // the directory for the pictures
	ShownAs  string    // what the person knows that directory by
	Out      io.Writer // what happens, for the person who watches

	session  *desktop.Session
	listener *desktop.Listener
	writer   *exec.Cmd
	heard    int // notifications before the current step
}

// A step does something as the person would, and waits for what it leads to.
type step struct {
	name  string
	says  string
	state helper.State // what the kernel must say afterwards
	do    func() error
}

// Run plays the tour.
func (t *Tour) Run() error {
	if err := t.begin(); err != nil {
		return err
	}
	defer t.end()
	steps := []step{
		{"locked", "The system is locked: the padlock in the panel is closed.", helper.Locked, t.start},
		{"unlock-prompt", "A click asks for permission to unlock.", helper.Locked, t.ask},
		{"unlocked", "Permission given: / and /etc are writable, the padlock is open.", helper.Unlocked, t.permit},
		{"reminder", "As long as it stays unlocked, the applet reminds.", helper.Unlocked, t.awaitReminder},
		{"menu", "Everything is also in the menu.", helper.Unlocked, t.openMenu},
		{"blocked", "A program is writing to " + writtenFile + ": a click to lock is refused, and says why.", helper.Unlocked, t.lockWhileWriting},
		{"locked-again", "The program has ended: a click locks.", helper.Locked, t.lock},
	}
	for i, s := range steps {
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
	if err := system.Immutectl("lock"); err != nil {
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
	t.endWriter()
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
	return desktop.Save(picture, filepath.Join(t.Pictures, name))
}

func (t *Tour) start() error {
	if _, err := t.session.Start("immutray"); err != nil {
		return err
	}
	_, _, err := t.session.Icon()
	return err
}

func (t *Tour) ask() error {
	if err := t.session.ClickIcon(desktop.Left); err != nil {
		return err
	}
	return t.session.Center(pkexec.Title)
}

func (t *Tour) permit() error {
	if err := t.session.Answer(pkexec.Title, "Return"); err != nil {
		return err
	}
	return t.awaitNotification("of the unlock", func(n desktop.Notification) bool {
		return strings.HasPrefix(n.Summary, "Unlocked")
	})
}

func (t *Tour) awaitReminder() error {
	return t.awaitNotification("that reminds", desktop.Notification.Critical)
}

func (t *Tour) openMenu() error {
	before, err := t.session.Settled()
	if err != nil {
		return err
	}
	if err := t.session.ClickIcon(desktop.Right); err != nil {
		return err
	}
	return t.session.WaitFor("the menu", func() (bool, error) {
		now, err := t.session.Settled()
		return err == nil && !desktop.Same(before, now), err
	})
}

func (t *Tour) lockWhileWriting() error {
	if err := t.session.Key("Escape"); err != nil { // closes the menu
		return err
	}
	if err := t.startWriter(); err != nil {
		return err
	}
	if err := t.session.ClickIcon(desktop.Left); err != nil {
		return err
	}
	return t.awaitNotification("that names the writer", func(n desktop.Notification) bool {
		return strings.Contains(n.Body, writtenFile) && strings.Contains(n.Body, filepath.Base(t.writer.Path))
	})
}

func (t *Tour) lock() error {
	t.endWriter()
	if err := t.session.ClickIcon(desktop.Left); err != nil {
		return err
	}
	return t.awaitNotification("of the lock", func(n desktop.Notification) bool {
		return n.Summary == "Locked"
	})
}

// awaitNotification waits for one that is posted in the current step.
func (t *Tour) awaitNotification(what string, match func(desktop.Notification) bool) error {
	_, err := t.session.WaitForNotification(t.listener, what, t.heard, match)
	return err
}

// startWriter starts a program that has a file open for writing, and writes nothing.
func (t *Tour) startWriter() error {
	t.writer = exec.Command("tee", "--append", writtenFile)
	// The program ends when its input does.
	if _, err := t.writer.StdinPipe(); err != nil {
		return err
	}
	if err := t.writer.Start(); err != nil {
		return err
	}
	pid := t.writer.Process.Pid
	return t.session.WaitFor("the writer", func() (bool, error) {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		for _, e := range entries {
			if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name())); to == writtenFile {
				return true, nil
			}
		}
		return false, err
	})
}

func (t *Tour) endWriter() {
	if t.writer == nil || t.writer.ProcessState != nil {
		return
	}
	_ = t.writer.Process.Kill() // it may have ended
	_ = t.writer.Wait()         // killed, as wanted
}
