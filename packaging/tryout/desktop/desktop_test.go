package desktop_test

import (
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/tryout/desktop"
	"immutray.org/packaging/tryout/pkexec"
	"immutray.org/packaging/tryout/system"
)

// A session is one desktop for one test, and what happens on it.
type session struct {
	*desktop.Session
	t        *testing.T
	listener *desktop.Listener
}

// newSession starts a desktop on a system in the given state.
func newSession(t *testing.T, state helper.State, settings string, o desktop.Options) *session {
	t.Helper()
	requirePractice(t)
	verb := map[helper.State]string{helper.Locked: "lock", helper.Unlocked: "unlock"}[state]
	if err := system.Immutectl(verb); err != nil {
		t.Fatal(err)
	}
	person := system.DefaultPerson()
	if err := person.Configure(settings); err != nil {
		t.Fatal(err)
	}
	started, err := desktop.New(person, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(started.Close)
	listener, err := started.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(listener.Close)
	d := &session{Session: started, t: t, listener: listener}
	t.Cleanup(d.showFailure)
	d.check(d.ParkPointer())
	return d
}

// showFailure keeps what a failed test saw.
func (d *session) showFailure() {
	if !d.t.Failed() {
		return
	}
	d.t.Logf("notifications: %+v", d.listener.Posted())
	d.t.Log(d.Logs())
	screen, err := d.Screenshot()
	if err != nil {
		d.t.Log(err)
		return
	}
	path := filepath.Join(failedDir, strings.ReplaceAll(d.t.Name(), "/", "-")+".png")
	if err := desktop.Save(screen, path); err != nil {
		d.t.Log(err)
		return
	}
	d.t.Logf("the screen is in build/failed/%s", filepath.Base(path))
}

func (d *session) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// applet starts the applet.
func (d *session) applet() *desktop.Process {
	d.t.Helper()
	p, err := d.Start("immutray")
	d.check(err)
	return p
}

// icon waits for an icon that has settled, and returns its picture.
func (d *session) icon() *image.RGBA {
	d.t.Helper()
	_, _, err := d.Icon()
	d.check(err)
	screen, err := d.Settled()
	d.check(err)
	return desktop.Crop(screen, desktop.IconPlace(screen))
}

// waitForIcon waits until the tray shows an icon that is like the picture, or unlike it.
func (d *session) waitForIcon(what string, picture *image.RGBA, like bool) {
	d.t.Helper()
	d.check(d.WaitFor(what, func() (bool, error) {
		_, now, err := d.Icon()
		return err == nil && desktop.Same(now, picture) == like, err
	}))
}

// waitForState waits until the kernel says so.
func (d *session) waitForState(want helper.State) {
	d.t.Helper()
	d.check(d.WaitFor("the state "+string(want), func() (bool, error) {
		status, err := system.Status()
		return status.State == want, err
	}))
}

func (d *session) expectState(want helper.State) {
	d.t.Helper()
	status, err := system.Status()
	d.check(err)
	if status.State != want {
		d.t.Errorf("the state is %s, want %s", status.State, want)
	}
}

// reminder waits for a reminder, not counting the first skip notifications.
func (d *session) reminder(skip int) desktop.Notification {
	d.t.Helper()
	n, err := d.WaitForNotification(d.listener, "that reminds", skip, desktop.Notification.Critical)
	d.check(err)
	return n
}

const remindSoon = `remind_first = "1s"
remind_every = "2s"
`

// The whole way, once: a click, the prompt, the unlock, reminders, the lock. That each of
// them is right in every case is tested in the tray and in notify.
func TestFromLockedToLockedAgain(t *testing.T) {
	d := newSession(t, helper.Locked, remindSoon, desktop.Options{})
	d.applet()
	locked := d.icon()

	d.check(d.ClickIcon(desktop.Left))
	d.check(d.Answer(pkexec.Title, "Escape"))
	d.waitForIcon("the icon to be as before", locked, true)
	d.expectState(helper.Locked)
	if posted := d.listener.Posted(); len(posted) > 0 {
		t.Errorf("after a cancelled prompt the person was told: %+v", posted)
	}

	d.check(d.ClickIcon(desktop.Left))
	d.check(d.Answer(pkexec.Title, "Return"))
	d.waitForState(helper.Unlocked)
	d.waitForIcon("the icon to change", locked, false)

	first := d.reminder(0)
	if first.Expire != 0 {
		t.Errorf("the reminder expires after %d ms, want never", first.Expire)
	}
	place, err := d.NotificationPlace()
	d.check(err)
	if screen := image.Rect(0, 0, desktop.Width, desktop.Height); !place.In(screen) {
		t.Errorf("the reminder is at %v, not within the screen %v", place, screen)
	}
	second := d.reminder(len(d.listener.Posted()))
	if second.ReplacesID == 0 {
		t.Error("the second reminder is a new one, want it in the place of the first")
	}
	d.check(system.Immutectl("lock"))
	d.check(d.WaitFor("the reminder to be closed", func() (bool, error) {
		return d.listener.Closed(second.ReplacesID), nil
	}))
	d.waitForIcon("the icon to be as at first", locked, true)
}

func TestClickWhileUnlockedLocks(t *testing.T) {
	d := newSession(t, helper.Unlocked, "", desktop.Options{})
	d.applet()
	unlocked := d.icon()
	d.check(d.ClickIcon(desktop.Left))
	d.waitForState(helper.Locked)
	d.waitForIcon("the icon to change", unlocked, false)
	if id := d.Window(pkexec.Title); id != "" {
		t.Error("locking asked for permission")
	}
}

// What is done behind the helper's back shows within 10 s (watch in immutectl(1)).
func TestChangeByHandShows(t *testing.T) {
	d := newSession(t, helper.Unlocked, "", desktop.Options{})
	d.applet()
	unlocked := d.icon()
	for _, path := range []string{"/etc", "/"} {
		if out, err := exec.Command("btrfs", "property", "set", path, "ro", "true").CombinedOutput(); err != nil {
			t.Fatalf("btrfs property set %s ro true: %v\n%s", path, err, out)
		}
	}
	changed := time.Now()
	d.waitForIcon("the icon to change", unlocked, false)
	if took := time.Since(changed); took > 10*time.Second {
		t.Errorf("the change showed after %v, want within 10 s", took)
	}
	d.expectState(helper.PartlyLocked)
}

func TestPanelRestart(t *testing.T) {
	d := newSession(t, helper.Locked, "", desktop.Options{})
	d.applet()
	before := d.icon()
	d.check(d.StopPanel())
	d.check(d.StartPanel())
	d.waitForIcon("the icon to be back", before, true)
	// And it is alive.
	d.check(d.ClickIcon(desktop.Left))
	_, err := d.WaitForWindow(pkexec.Title, true)
	d.check(err)
}

func TestRemindsWithoutTrayHost(t *testing.T) {
	d := newSession(t, helper.Unlocked, remindSoon, desktop.Options{NoPanel: true})
	d.applet()
	d.reminder(0)
}

func TestLivesWithoutNotificationDaemon(t *testing.T) {
	d := newSession(t, helper.Unlocked, remindSoon, desktop.Options{NoNotifications: true})
	applet := d.applet()
	unlocked := d.icon()
	d.check(d.ClickIcon(desktop.Left))
	d.waitForState(helper.Locked)
	d.waitForIcon("the icon to change", unlocked, false)
	d.check(system.Immutectl("unlock"))
	d.check(d.StartNotifications())
	d.reminder(0)
	if applet.ExitCode() != -1 {
		t.Errorf("the applet has ended with exit code %d", applet.ExitCode())
	}
}

func TestLockNowInTheReminder(t *testing.T) {
	d := newSession(t, helper.Unlocked, `remind_first = "1s"`, desktop.Options{})
	d.applet()
	d.reminder(0)
	d.button(false)
	d.waitForState(helper.Locked)
}

func TestTerminationIsClean(t *testing.T) {
	d := newSession(t, helper.Locked, "", desktop.Options{})
	applet := d.applet()
	d.icon()
	d.check(applet.Signal(unix.SIGTERM))
	<-applet.Done()
	if applet.ExitCode() != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0\n%s", applet.ExitCode(), applet.Log())
	}
	d.check(d.WaitFor("the icon to be gone", func() (bool, error) {
		screen, err := d.Screenshot()
		return err == nil && desktop.IconPlace(screen).Empty(), err
	}))
}

func TestSecondStartLeavesTheFirstAlone(t *testing.T) {
	d := newSession(t, helper.Locked, "", desktop.Options{})
	first := d.applet()
	d.icon()
	second := d.applet()
	<-second.Done()
	if second.ExitCode() != 0 || second.Log() == "" {
		t.Errorf("the second start: exit code %d and output %q, want 0 and a word on why", second.ExitCode(), second.Log())
	}
	if first.ExitCode() != -1 {
		t.Errorf("the first has ended with exit code %d", first.ExitCode())
	}
}

// The system on which all this happens is the practice system, and not the machine.
func TestRootIsTheTestsOwn(t *testing.T) {
	requirePractice(t)
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, mount := range []string{" /ROOTVOL / ", " /ROOTVOL/etc /etc "} {
		if !strings.Contains(string(mountinfo), mount) {
			t.Errorf("no mount%sin\n%s", mount, mountinfo)
		}
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/1/root%s", system.Authority)); err != nil {
		t.Errorf("PID 1 is not in the practice system: %v", err)
	}
}
