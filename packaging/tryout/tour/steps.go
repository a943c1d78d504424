package tour

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/tryout/desktop"
	"immutray.org/packaging/tryout/pkexec"
	"immutray.org/packaging/tryout/system"
)

// A step does something as the person would, and waits for what it leads to.
type step struct {
	name  string
	says  string
	state helper.State // what the kernel must say afterwards
	do    func() error
}

// steps lists the steps. Each goes on from where the one before it has left the system.
func (t *Tour) steps() []step {
	return []step{
		{"not-ready", "This computer is not ready to be locked: the menu says what is missing.", helper.Unlocked, t.startNotReady},
		{"locked", "Now the system is locked: the padlock in the panel is closed.", helper.Locked, t.prepareAndLock},
		{"unlock-prompt", "A click asks for permission to unlock.", helper.Locked, t.ask},
		{"unlocked", "Permission given: / and /etc are writable, the padlock is open.", helper.Unlocked, t.permit},
		{"reminder", "As long as it stays unlocked, the applet reminds.", helper.Unlocked, t.awaitReminder},
		{"menu", "Everything is also in the menu.", helper.Unlocked, t.openMenu},
		{"blocked", "A program is writing to " + writtenFile + ": a click to lock is refused, and says why.", helper.Unlocked, t.lockWhileWriting},
		{"locked-again", "The program has ended: a click locks.", helper.Locked, t.lock},
		{"run", "\"immutectl run\": one command can write, and the system stays locked.", helper.Locked, t.run},
		{"ending", "Unlocked for a time: the end is announced five minutes before.", helper.Unlocked, t.unlockForATime},
		{"locked-by-itself", "The time is over: the system has locked by itself.", helper.Locked, t.awaitEnd},
		{"partly-locked", "Someone has made the mount of /etc writable: the system is partly locked.", helper.PartlyLocked, t.openMount},
	}
}

// island is what step "not-ready" takes away: a directory that programs write to, on a
// subvolume of its own. kept is where it is meanwhile.
const (
	island = "/var/log"
	kept   = system.RunDir + "/island"
)

func (t *Tour) startNotReady() error {
	if err := unix.Mkdir(kept, 0o755); err != nil {
		return err
	}
	if err := move(island, kept); err != nil {
		return err
	}
	if _, err := t.session.Start("immutray"); err != nil {
		return err
	}
	return t.openMenu()
}

func (t *Tour) prepareAndLock() error {
	if err := move(kept, island); err != nil {
		return err
	}
	return system.Immutectl("lock")
}

// move moves a mount.
func move(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("cannot move the mount %s to %s: %w", from, to, err)
	}
	return nil
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

func (t *Tour) lockWhileWriting() error {
	var err error
	if t.writer, err = startWriter(); err != nil {
		return err
	}
	if err := t.session.WaitFor("the writer", t.writer.hasOpened); err != nil {
		return err
	}
	if err := t.session.ClickIcon(desktop.Left); err != nil {
		return err
	}
	return t.awaitNotification("that names the writer", func(n desktop.Notification) bool {
		text := n.Summary + "\n" + n.Body
		return strings.Contains(text, writtenFile) && strings.Contains(text, filepath.Base(writerProgram))
	})
}

func (t *Tour) lock() error {
	if err := t.endWriter(); err != nil {
		return err
	}
	if err := t.session.ClickIcon(desktop.Left); err != nil {
		return err
	}
	return t.awaitNotification("of the lock", func(n desktop.Notification) bool {
		return n.Summary == "Locked"
	})
}

func (t *Tour) run() error {
	var err error
	if t.writer, err = startWriter("/usr/bin/immutectl", "run", "--"); err != nil {
		return err
	}
	err = t.awaitStatus("the run", func(s helper.Status) bool { return len(s.Runs) > 0 })
	if err != nil {
		return err
	}
	// What the applet has said of the lock is not about the run.
	if err := t.session.WaitForEmpty(true); err != nil {
		return err
	}
	return t.openMenu()
}

func (t *Tour) unlockForATime() error {
	if err := t.endWriter(); err != nil {
		return err
	}
	// A window of five minutes or less is not announced.
	if err := system.Immutectl("unlock", "--for", "5m2s", "--reason", "new kernel"); err != nil {
		return err
	}
	return t.awaitNotification("of the end", func(n desktop.Notification) bool {
		return strings.HasPrefix(n.Summary, "Locks ")
	})
}

func (t *Tour) awaitEnd() error {
	if err := system.Immutectl("unlock", "--for", "1s"); err != nil {
		return err
	}
	err := t.awaitStatus("the end of the window", func(s helper.Status) bool { return s.State == helper.Locked })
	if err != nil {
		return err
	}
	return t.openMenu()
}

func (t *Tour) openMount() error {
	writable := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/etc", 0, &writable); err != nil {
		return fmt.Errorf("cannot make the mount of /etc writable: %w", err)
	}
	return t.openMenu()
}

// openMenu opens the menu when the panel shows the state of the system.
func (t *Tour) openMenu() error {
	if _, _, err := t.session.Icon(); err != nil {
		return err
	}
	before, err := t.session.Settled()
	if err != nil {
		return err
	}
	if err := t.session.ClickIcon(desktop.Right); err != nil {
		return err
	}
	t.menu = true
	return t.session.WaitFor("the menu", func() (bool, error) {
		now, err := t.session.Settled()
		return err == nil && !desktop.Same(before, now), err
	})
}

func (t *Tour) closeMenu() error {
	if !t.menu {
		return nil
	}
	t.menu = false
	if err := t.session.Key("Escape"); err != nil {
		return err
	}
	_, err := t.session.Settled()
	return err
}

// awaitNotification waits for one that is posted in the current step, and is on the screen.
func (t *Tour) awaitNotification(what string, match func(desktop.Notification) bool) error {
	if _, err := t.session.WaitForNotification(t.listener, what, t.heard, match); err != nil {
		return err
	}
	return t.session.WaitForEmpty(false)
}

func (t *Tour) awaitStatus(what string, match func(helper.Status) bool) error {
	return t.session.WaitFor(what, func() (bool, error) {
		status, err := system.Status()
		return err == nil && match(status), err
	})
}
