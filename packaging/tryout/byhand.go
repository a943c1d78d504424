package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"immutray.org/packaging/tryout/desktop"
	"immutray.org/packaging/tryout/system"
)

// remindSoon makes reminders come before a person who tries the applet gives up waiting.
const remindSoon = `remind_first = "30s"
remind_every = "2m"
`

const welcome = `
This is the Immutray practice system: a btrfs image with / and /etc as subvolumes,
in namespaces of its own. You are root in it. Nothing of your machine is touched.

    immutectl status        what is locked
    immutectl unlock        make / and /etc writable
    touch /etc/hello        works while they are
    immutectl lock          lock again: now the same fails
    immutectl run -- touch /etc/hello
                            only this command can write
    man immutectl           the manual; the Tab key completes commands
    immutray                starts the applet again after "Quit"

%s
"exit" ends it, and nothing of it is left.

`

// practiseByHand shows the applet as well as the machine allows and gives the
// person a shell in the practice system.
func practiseByHand(o *options, so system.Options, stdout io.Writer) error {
	o.host.fromSudo()
	on := displayFor(&o.host)
	key, _ := os.ReadFile(o.host.xauthority()) // a display without a key needs none
	switch on {
	case inPanel:
		so.Person = o.host.person()
		so.Keep = append(so.Keep, o.host.keepAll()...)
	case inWindow:
		so.Person = o.host.person()
		so.Keep = append(so.Keep, o.host.keepDisplay()...)
	}
	if err := system.Become(so); err != nil {
		return err
	}
	if err := o.host.giveKey(key); err != nil {
		return err
	}
	if err := system.Immutectl("lock"); err != nil {
		return err
	}
	if err := so.Person.Configure(remindSoon); err != nil {
		return err
	}
	session, where, err := open(on, so.Person, o.host.env)
	if err != nil {
		return err
	}
	defer session.Close()
	shown := &applet{session: session, where: where, out: stdout}
	defer shown.leave()
	if _, err := shown.start(); err != nil {
		return err
	}
	config := shellConfig
	if on == inMemory {
		config += pictureConfig
	}
	fmt.Fprintf(stdout, welcome, where)
	return shell(config, func(question string) string {
		switch question {
		case "immutray":
			return said(shown.start())
		case "picture":
			return said(filepath.Join(o.pictures, nowPicture), takePicture(session))
		}
		return "practice: error: unknown question " + question
	})
}

// said is an answer for the shell: what was done, or why not.
func said(done string, err error) string {
	if err != nil {
		return "practice: error: " + err.Error()
	}
	return done
}

// A display is where the applet is shown.
type display int

const (
	inMemory display = iota // on a desktop without a screen
	inWindow                // on a desktop in a window
	inPanel                 // in the person's own panel
)

// displayFor returns the best display that the person's session has.
func displayFor(h *hostSession) display {
	_, err := exec.LookPath("Xephyr")
	switch {
	case h.usable():
		return inPanel
	case h.hasDisplay() && err == nil:
		return inWindow
	}
	return inMemory
}

// open starts or finds the session for the applet, and says where to look.
func open(on display, person system.Person, env []string) (*desktop.Session, string, error) {
	switch on {
	case inPanel:
		// The panel does not see the icons that are installed here (immutray(1), ENVIRONMENT).
		env = append(env, "IMMUTRAY_PRACTICE=1")
		return desktop.Existing(person, env), "The padlock is in your panel: a click on it locks and unlocks.", nil
	case inWindow:
		session, err := desktop.New(person, desktop.Options{Window: env})
		return session, "The padlock is in the panel of the new window: a click on it locks and unlocks.", err
	}
	session, err := desktop.New(person, desktop.Options{})
	return session, "There is no display to show the applet on (or no tray, and no Xephyr to open a\n" +
		"window with). It runs on a desktop in memory: \"picture\" saves what that shows,\n" +
		"and \"make run TOUR=1\" plays a tour.", err
}

// nowPicture is the picture that the shell's command makes.
const nowPicture = "now.png"

func takePicture(session *desktop.Session) error {
	picture, err := session.Settled()
	if err != nil {
		return err
	}
	return desktop.Save(picture, filepath.Join(pictures, nowPicture))
}
