package systemd

import (
	"strings"
	"testing"
	"time"
)

// addTarget adds a target that wants only the named units.
func (b *booted) addTarget(name, wants string) {
	b.t.Helper()
	b.output("sh", "-c", "printf '[Unit]\\nDefaultDependencies=no\\nAllowIsolate=yes\\nWants=%s\\n' '"+wants+"' >/run/units/"+name)
	b.output("systemctl", "daemon-reload")
}

// A change of target does not prevent the end of a window.
func TestAChangeOfTarget(t *testing.T) {
	b := boot(t)
	b.addTarget("other.target", "dbus.service")
	b.addTarget("bare.target", "") // as emergency.target: it stops sysinit.target and the bus
	b.ask("lock")

	b.ask("unlock", "--for", "1h")
	before := b.timers()
	b.output("systemctl", "isolate", "other.target")
	b.await("the change of target", func() bool { return b.try("systemctl", "is-active", "--quiet", "default.target") != nil })
	if after := b.timers(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("timers %q, after the change of target %q", before, after)
	}
	b.ask("unlock", "--for", "8s")
	b.output("systemctl", "daemon-reexec")
	b.output("systemctl", "isolate", "bare.target")
	b.await("the end of the bus", func() bool { return b.try("systemctl", "is-active", "--quiet", "dbus.service") != nil })
	if b.isLocked() {
		t.Error("it is locked before the end of the window")
	}
	b.await("the lock", b.isLocked)
	if b.try("systemctl", "is-active", "--quiet", "sysinit.target") == nil {
		t.Error("the lock has brought up what that target had stopped")
	}
	b.output("systemctl", "isolate", "other.target")
	b.await("the bus", func() bool { return b.try("systemctl", "is-active", "--quiet", "dbus.service") == nil })

	// Nor another try of a blocked lock.
	r := b.ask("unlock", "--for", "3s")
	endWriter := b.startWriter()
	unit := "immutray-relock@" + r.Request.ID + ".service"
	b.await("the blocked lock", func() bool {
		return strings.Contains(b.output("systemctl", "show", "--property=SubState", unit), "auto-restart")
	})
	for _, target := range []string{"bare.target", "other.target"} {
		b.output("systemctl", "isolate", target)
		if got := b.output("systemctl", "show", "--property=ActiveState", "--value", unit); strings.TrimSpace(got) != "activating" {
			t.Errorf("in %s, the unit that tries again is %s", target, got)
		}
	}
	endWriter()
	released := time.Now()
	b.await("the lock", b.isLocked)
	if took := time.Since(released); took > 35*time.Second {
		t.Errorf("locked %v after the writer was gone, want 35s at most", took)
	}
}
