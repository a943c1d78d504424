package systemd

import (
	"encoding/json"
	"testing"
	"time"

	"immutray.org/helper"
)

// While all programs of a person are frozen, the status names what they hold open and the
// commands they run. Once they are gone, the system is locked.
func TestAFrozenPerson(t *testing.T) {
	b := boot(t)
	const slice = "user-1000.slice"
	b.ask("lock")
	b.ask("unlock", "--until-locked")
	b.output("systemd-run", "--slice="+slice, "--unit=holder", "--collect", "sh", "-c", "exec 3>/mnt/root/etc/busy; touch /run/begun; exec sleep 77")
	b.await("the writer", func() bool { return b.try("rm", "/run/begun") == nil })
	b.output("systemctl", "freeze", slice)
	b.ask("unlock", "--for", "2s")
	b.awaitOverdue()
	// One that is killed while it is frozen ends (cgroup v2 in the kernel's cgroup-v2.rst).
	b.output("systemctl", "kill", "--signal=KILL", "holder.service")
	b.await("the lock", b.isLocked)

	status := func() (s helper.Status) {
		t.Helper()
		if err := json.Unmarshal([]byte(b.output(immutectl, "status", "--json")), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	b.output("systemctl", "thaw", slice)
	for _, mode := range []string{"--reason=a test", "--system-wide"} {
		for _, kill := range []bool{false, true} {
			b.await("the end of the caller", func() bool { return b.try("systemctl", "is-active", "--quiet", "caller.service") != nil })
			b.output("systemd-run", "--slice="+slice, "--unit=caller", "--collect", immutectl, "run", mode, "--",
				"sh", "-c", "touch /mnt/root/etc/half /run/begun; sleep 2; rm /mnt/root/etc/half")
			b.await("the command", func() bool { return b.try("rm", "/run/begun") == nil })
			b.output("systemctl", "freeze", slice)
			time.Sleep(3 * time.Second) // in which it would have ended
			if s := status(); len(s.Runs) != 1 || b.isLocked() != (mode != "--system-wide") {
				t.Errorf("%s: while it is frozen it is %s for others, with the commands %+v", mode, s.State, s.Runs)
			}
			if kill {
				b.output("systemctl", "kill", "--signal=KILL", "caller.service")
			} else {
				b.output("systemctl", "thaw", slice)
			}
			b.await("the end of its write access", func() bool {
				s := status()
				for _, p := range s.Paths {
					if p.State != helper.Locked {
						return false
					}
				}
				return len(s.Runs) == 0 && b.isLocked()
			})
			if whole := b.try("test", "-e", "/mnt/root/etc/half") != nil; whole == kill {
				t.Errorf("%s: killed: %v, and has come to its end: %v", mode, kill, whole)
			}
			b.output("systemctl", "thaw", slice)
		}
	}
}
