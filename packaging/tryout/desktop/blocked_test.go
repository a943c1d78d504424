package desktop_test

import (
	"image"
	"os/exec"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/packaging/tryout/desktop"
	"immutray.org/packaging/tryout/pkexec"
	"immutray.org/packaging/tryout/system"
)

const busyFile = "/etc/busy"

// button clicks the left or the right one of two buttons of the notification that is on
// the screen: they share its lowest row.
func (d *session) button(right bool) {
	d.t.Helper()
	_, err := d.NotificationPlace()
	d.check(err)
	_, err = d.Settled()
	d.check(err)
	place, err := d.NotificationPlace() // it has grown to its size
	d.check(err)
	middle := (place.Min.X + place.Max.X) / 2
	half := image.Rect(place.Min.X, place.Max.Y-50, middle, place.Max.Y-10)
	if right {
		half = image.Rect(middle, place.Max.Y-50, place.Max.X, place.Max.Y-10)
	}
	d.check(d.Click(half, desktop.Left))
}

// told waits for a notification with a summary that was not told before.
func (d *session) told(summary string) desktop.Notification {
	d.t.Helper()
	n, err := d.WaitForNotification(d.listener, "that says "+summary, 0, func(n desktop.Notification) bool {
		return n.Summary == summary
	})
	d.check(err)
	return n
}

// A window ends while a program writes: the person is told by whom the lock is blocked,
// forces it with the buttons and the password, and when the program is gone the rest of
// the lock follows by itself.
func TestABlockedEndIsForced(t *testing.T) {
	d := newSession(t, helper.Locked, "", desktop.Options{})
	d.applet()
	d.icon()
	d.check(system.Immutectl("unlock", "--for", "3s"))
	status, err := system.Status()
	d.check(err)
	writer := exec.Command("tee", "--append", busyFile)
	_, err = writer.StdinPipe() // it ends when its input does
	d.check(err)
	d.check(writer.Start())
	ended := false
	end := func() {
		if !ended {
			ended = true
			_ = writer.Process.Kill() // it may have ended
			_ = writer.Wait()         // killed, as wanted
		}
	}
	defer end()

	n := d.told("Not locked yet: files open")
	if late := time.Since(*status.Window.Until); late > 10*time.Second {
		t.Errorf("told %v after the end of the window, want 10s at most", late)
	}
	if !n.Critical() || !strings.Contains(n.Body, busyFile) || !strings.Contains(n.Body, "tee") {
		t.Errorf("told is %+v, want critical, with the program and its file", n)
	}
	d.button(true)
	question := d.told("Lock anyway?")
	if !strings.Contains(question.Body, busyFile) || !strings.Contains(question.Body, "tee") {
		t.Errorf("asked is %+v, want the program and its file", question)
	}
	d.button(false)
	d.check(d.Answer(pkexec.Title, "Return"))
	d.waitForState(helper.PartlyLocked)

	end()
	released := time.Now()
	d.waitForState(helper.Locked)
	if took := time.Since(released); took > 35*time.Second {
		t.Errorf("locked %v after the program had ended, want 35s at most", took)
	}
}
