package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

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
	session, hint, err := open(on, so.Person, o.host.env)
	if err != nil {
		return err
	}
	defer session.Close()
	applet, err := session.Start("immutray")
	if err != nil {
		return err
	}
	go func() {
		<-applet.Done()
		fmt.Fprintln(stdout, "\nThe applet has ended: "+strings.TrimSpace(applet.Log()))
	}()
	fmt.Fprintf(stdout, welcome, hint)
	if on == inMemory {
		return shell(session, shellConfig+pictureConfig, filepath.Join(o.pictures, nowPicture))
	}
	return shell(session, shellConfig, "")
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

// answers is where the shell's command hears what became of its picture.
const answers = system.RunDir + "/picture"

// shellConfig is what the shell reads first.
const shellConfig = `PS1='practice:\w# '
`

// pictureConfig asks this program, the shell's parent, for a picture, where no one
// else sees the screen.
const pictureConfig = `picture() { kill -USR1 $PPID && cat ` + answers + `; }
`

// shell runs root's shell in the practice system until the person leaves it.
func shell(session *desktop.Session, startup, shownAs string) error {
	config := filepath.Join(system.RunDir, "bashrc")
	if err := os.WriteFile(config, []byte(startup), 0o644); err != nil {
		return err
	}
	if err := unix.Mkfifo(answers, 0o600); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	// The interrupt is the shell's business. It is taken note of and not ignored,
	// because what this program ignores, the shell's commands would ignore too.
	signal.Notify(signals, unix.SIGINT, unix.SIGUSR1)
	go func() {
		for s := range signals {
			if s == unix.SIGUSR1 {
				answer := takePicture(session, shownAs)
				// Waits for the command to listen.
				_ = os.WriteFile(answers, []byte(answer+"\n"), 0) // no one else reads it
			}
		}
	}()
	cmd := exec.Command("bash", "--rcfile", config)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Dir = "/root"
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LOGNAME=root", "LANG=C.UTF-8", "TERM=" + os.Getenv("TERM"),
	}
	err := cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return nil // that of the last command, which is no one's failure
	}
	return err
}

func takePicture(session *desktop.Session, shownAs string) string {
	picture, err := session.Settled()
	if err == nil {
		err = desktop.Save(picture, filepath.Join(pictures, nowPicture))
	}
	if err != nil {
		return err.Error()
	}
	return shownAs
}
