package machine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/icons"
)

// startApart starts the applet for the administrator at the desk, in a mount namespace
// of its own. In the slice of that user it belongs to the session at the desk, as the
// applet of the session does.
const startApart = `pkill -x immutray
while pgrep -x immutray; do sleep 0.2; done >/dev/null
systemd-run --quiet --unit=apart --slice=user-1000.slice --uid=rrs --property=PrivateMounts=yes \
	--setenv=DISPLAY=:0 --setenv=XDG_RUNTIME_DIR=/run/user/1000 \
	--setenv=DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus immutray
until pgrep -x immutray; do sleep 0.2; done >/dev/null
readlink /proc/1/ns/mnt /proc/$(pgrep -x immutray)/ns/mnt`

// The mount flag holds in one mount namespace. It is the machine's that changes, not
// the one in which the applet was started.
func (d *desk) clickInAnotherNamespace(t *testing.T) {
	unlock(t, d.vm)
	namespaces := strings.Fields(must(t, d.as(root), startApart))
	if len(namespaces) != 2 || namespaces[0] == namespaces[1] {
		t.Fatalf("PID 1 and the applet are in the namespaces %q, want two", namespaces)
	}
	expectIcon(t, d.vm, icons.Unlocked)
	d.clickIcon(t)
	// The icon shows what the applet can write to, and in its namespace / is still writable.
	check(t, d.waitForState(helper.Locked, time.Minute))
	expectState(t, d.vm, helper.Locked)
	d.expectAsked(t, nil)
	must(t, d.as(root), "systemctl stop apart")
}

func (d *desk) otherLocks(t *testing.T) {
	unlock(t, d.vm)
	// For the last window (see closesAlone).
	must(t, d.as(root), fmt.Sprintf(`echo 'unlock_default = "%dm"' >>/etc/immutray/config.toml`, windowLength/time.Minute))
	must(t, d.as(root), "systemctl start lightdm") // see lastLogoutLocks
	d.sitDown(t, other)
	expectIcon(t, d.vm, icons.Unlocked)
	d.clickIcon(t)
	expectIcon(t, d.vm, icons.Locked)
	expectState(t, d.vm, helper.Locked)
	expectRecord(t, d.vm, outcome, "lock for ann: done")
	d.expectAsked(t, nil)
}

func (d *desk) otherUnlocks(t *testing.T) {
	place := d.open(t)
	takePicture(t, d.vm, "prompt-other")
	d.answerWrongly(t, place, otherPassword)
	d.answer(t, adminPassword)
	expectIcon(t, d.vm, icons.Unlocked)
	expectState(t, d.vm, helper.Unlocked)
	expectRecord(t, d.vm, outcome, "unlock for ann: done")
	if count(journal(t, d.vm), "successfully authenticated as unix-user:rrs", "org.immutray.unlock", "owned by unix-user:ann") != 1 {
		t.Error("the journal does not say that rrs vouched for ann")
	}
}

// leave kills the applet, logs its user out, and ends all her processes.
const leave = `pkill -KILL -x immutray
systemctl stop lightdm
systemctl kill --signal=KILL user-1001.slice
timeout 60 sh -c 'while pgrep --uid ann; do sleep 0.5; done' >/dev/null`

// PID 1 closes a window, without the applet and any other process of the person.
func (d *desk) closesAlone(t *testing.T) {
	must(t, d.as(root), leave)
	expectState(t, d.vm, helper.Unlocked)
	expectClosed(t, d.vm, windowLength)
}
