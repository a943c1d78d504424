package systemd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"immutray.org/helper"
)

// start has PID 1 start both units of the boot, as sysinit.target does, and returns the
// state after them.
func (r recorder) start(t *testing.T) helper.Status {
	t.Helper()
	r.output("systemctl", "start", seal, unseal)
	var s helper.Status
	text := r.output(immutectl, "status", "--json")
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, unit := range []string{seal, unseal} {
		if r.try("systemctl", "is-failed", "--quiet", unit) == nil {
			t.Errorf("%s failed", unit)
		}
	}
	return s
}

// expectUnlocked fails unless the boot unlocked the system for that reason.
func expectUnlocked(t *testing.T, s helper.Status, reason string) {
	t.Helper()
	if w := s.Window; s.State != helper.Unlocked || w == nil || w.User != "root" || w.Reason != reason {
		t.Errorf("the system is %s, with the window %+v, want it unlocked by root (%s)", s.State, s.Window, reason)
	}
}

// After three sealed boots that never reached their target, the next one comes up unlocked.
// It reaches its target, so the boot after it is sealed again.
func TestBootsThatDoNotComeUp(t *testing.T) {
	kept := keptDir(t)
	for n := 1; n <= 5; n++ {
		r := bootRecorder(t, kept, n)
		if n <= 3 {
			r.output("systemctl", "stop", "default.target")
		}
		s := r.start(t)
		if n == 4 {
			expectUnlocked(t, s, "the last 3 boots did not come up")
		} else if s.State != helper.Locked || !r.isLocked() {
			t.Errorf("boot %d: the system is %s, want it sealed", n, s.State)
		}
		if n <= 3 {
			r.await("what notes that the boot has come up to be skipped", func() bool {
				return strings.Contains(r.output("systemctl", "show", "--property=Result", cameUp), "exec-condition")
			})
		}
		const record = "/var/lib/immutray/unfinished-boots"
		r.await(fmt.Sprintf("the record of boot %d", n), func() bool { return (r.try("test", "-e", record) == nil) == (n <= 3) })
		r.end() // like a power cut
	}
}

// A boot that installs an update comes up unlocked, and the next one is sealed. The link
// that asks for it is in /etc, because / is the machine's.
func TestABootThatInstallsAnUpdate(t *testing.T) {
	kept := keptDir(t)
	r := bootRecorder(t, kept, 1)
	if s := r.start(t); s.State != helper.Locked {
		t.Errorf("the system is %s, want it sealed", s.State)
	}
	r.end()
	r = bootRecorder(t, kept, 2)
	r.output("ln", "-s", "/var/lib/system-update", "/etc/system-update")
	expectUnlocked(t, r.start(t), "an update is waiting to be installed")
}
