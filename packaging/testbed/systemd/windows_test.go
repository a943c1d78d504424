package systemd

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/statefile"
)

// overdue returns what the lock at the end of a window waits for, as every user may read it.
func (b *booted) overdue() *helper.Overdue {
	b.t.Helper()
	var s statefile.State
	text := b.output("setpriv", "--reuid=65534", "--clear-groups", "cat", "/run/immutray/state.json")
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		b.t.Fatalf("%v: %s", err, text)
	}
	return s.Overdue
}

// awaitOverdue waits until the state file names the shell that blocks the lock, and returns
// when that was.
func (b *booted) awaitOverdue() time.Time {
	b.t.Helper()
	var o *helper.Overdue
	b.await("the record of the blocked lock", func() bool {
		o = b.overdue()
		return o != nil
	})
	if o.Outcome != helper.Blocked || len(o.Writers) != 1 || o.Writers[0].Path != "/mnt/root/etc/busy" {
		b.t.Errorf("on record is %+v, want one writer of /mnt/root/etc/busy", o)
	}
	return time.Now()
}

// Under a real systemd, with the units as they are shipped and all their hardening.
func TestWindowsUnderSystemd(t *testing.T) {
	b := boot(t)
	b.ask("lock")
	if !b.isLocked() {
		t.Fatal("it is not locked")
	}

	b.ask("unlock", "--for", "1h")
	first := b.timers()
	b.ask("unlock", "--for", "2h")
	if second := b.timers(); len(first) != 1 || len(second) != 1 || first[0] == second[0] {
		t.Errorf("timers %q, after the extension %q, want one, and then another", first, second)
	}
	// As when the clock is set, or the machine wakes up.
	before := b.timers()
	b.output("systemctl", "start", "immutray-relock@early.service")
	if after := b.timers(); len(after) != 1 || after[0] == before[0] || b.isLocked() {
		t.Errorf("timers %q before a timer that came too early, %q after it, want one that is new", before, after)
	}
	b.ask("unlock", "--until-locked")
	if got := b.timers(); len(got) > 0 {
		t.Errorf("timers of a window without an end: %q", got)
	}
	b.ask("unlock", "--for", "1h")
	b.ask("lock")
	if got := b.timers(); len(got) > 0 {
		t.Errorf("timers after the lock: %q", got)
	}

	// An installation makes systemd read its units again, and a writer blocks the lock.
	r := b.ask("unlock", "--for", "3s")
	if b.isLocked() {
		t.Error("it is locked after the unlock")
	}
	b.output("systemctl", "daemon-reload")
	endWriter := b.startWriter()
	unit := "immutray-relock@" + r.Request.ID + ".service"
	reported := b.awaitOverdue()
	if late := reported.Sub(*r.Status.Window.Until); late > 10*time.Second {
		t.Errorf("what is in the way was on record %v after the end of the window, want 10s at most", late)
	}
	b.await("the blocked lock", func() bool {
		return strings.Contains(b.output("systemctl", "show", "--property=SubState", unit), "auto-restart")
	})
	endWriter()
	released := time.Now()
	b.await("the lock", b.isLocked)
	if took := time.Since(released); took > 35*time.Second {
		t.Errorf("locked %v after the writer was gone, want 35s at most", took)
	}
	b.await("the end of the record", func() bool { return b.overdue() == nil })
	b.await("the end of the timers", func() bool { return len(b.timers()) == 0 })

	// A timer without a service to start is useless, and without a timer nothing is unlocked.
	b.output("rm", "/run/units/"+relock)
	b.output("systemctl", "daemon-reload")
	if err := b.try(helper.HelperPath, "unlock", "--for", "1h"); err == nil || !b.isLocked() {
		t.Errorf("an unlock that nothing could end: %v", err)
	}
}

// A lock by force works with the hardening of its unit, and the unit does nothing without a
// request.
func TestForceUnderSystemd(t *testing.T) {
	b := boot(t)
	endWriter := b.startWriter()
	defer endWriter()
	if err := b.try("systemctl", "start", "immutray-lock-force.service"); err == nil || b.isLocked() {
		t.Errorf("the unit alone: %v, locked: %t", err, b.isLocked())
	}
	_, line, _ := strings.Cut(b.output(helper.HelperPath, "lock-force"), "\n")
	var r helper.Result
	if err := json.Unmarshal([]byte(line), &r); err != nil || r.Outcome != helper.Done || len(r.Writers) != 1 || r.Status.State != helper.PartlyLocked {
		t.Errorf("lock-force: %v: %+v", err, r)
	}
	if !b.isLocked() {
		t.Error("something new can be written after the lock by force")
	}
}
