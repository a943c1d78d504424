package systemd

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

// request calls the helper as root, and returns its answer and how long it took.
func (b *booted) request(args ...string) (*helper.Result, time.Duration) {
	b.t.Helper()
	began := time.Now()
	out, _ := b.command(append([]string{helper.HelperPath}, args...)...).Output() // the result has its outcome
	_, line, _ := strings.Cut(string(out), "\n")
	var r helper.Result
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		b.t.Fatalf("%q: %v: %s", args, err, out)
	}
	return &r, time.Since(began)
}

// Root needs no bus to lock or unlock, and waits only a few seconds for one that does not
// answer.
func TestASilentBus(t *testing.T) {
	b := boot(t)
	b.ask("lock")
	b.ask("unlock", "--for", "1h")
	expect := func(when string, r *helper.Result, took time.Duration, locked bool, notice string) {
		t.Helper()
		if r.Outcome != helper.Done || b.isLocked() != locked || !strings.Contains(strings.Join(r.Notices, "; "), notice) {
			t.Errorf("%s: %s %s, %q, locked: %t", when, r.Outcome, r.Error, r.Notices, b.isLocked())
		}
		if took > 25*time.Second {
			t.Errorf("%s: it took %v", when, took)
		}
		t.Logf("%s: %v", when, took)
	}
	pid := strings.TrimSpace(b.output("systemctl", "show", "--property=MainPID", "--value", "dbus.service"))
	b.output("kill", "-STOP", pid)
	r, took := b.request("lock")
	expect("a silent bus", r, took, true, "the system bus does not answer")
	if got := b.timers(); len(got) > 0 {
		t.Errorf("timers after the lock: %q", got)
	}
	r, took = b.request("unlock", "--for", "1h")
	expect("a silent bus", r, took, false, "the system bus does not answer")
	if got := b.timers(); len(got) != 1 {
		t.Errorf("timers of the window: %q", got)
	}
	r, took = b.request("lock-force")
	expect("a silent bus", r, took, true, "the system bus does not answer")
	b.output("kill", "-CONT", pid)

	b.ask("unlock", "--for", "1h")
	b.output("systemctl", "stop", "dbus.socket", "dbus.service")
	r, took = b.request("lock")
	expect("no bus", r, took, true, "the system bus does not answer")
	r, took = b.request("unlock", "--for", "8s")
	expect("no bus", r, took, false, "the system bus does not answer")
	b.await("the lock", b.isLocked)

	b.request("unlock", "--until-locked")
	b.output("mv", "/run/systemd/private", "/run/systemd/away")
	r, took = b.request("lock")
	expect("nothing that answers", r, took, true, "systemd does not answer")
	b.output("mv", "/run/systemd/away", "/run/systemd/private")
}
