package systemd

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

// If timedated could not write a time zone because of the lock, it believes that the zone is
// set: asked again, it answers "done" and writes nothing. An unlock names timedated then, and
// what helps. It does not name timedated if that was not running.
func TestATimeZoneThatWasRefused(t *testing.T) {
	lab.Require(t, "/lib/systemd/systemd-timedated:systemd", "busctl:systemd")
	if _, err := os.Stat("/usr/share/zoneinfo/Pacific/Auckland"); err != nil {
		lab.Unavailable(t, "no time zones here: apt install tzdata")
	}
	b := boot(t)
	b.output("sh", "-ec", `cat >/run/units/systemd-timedated.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=dbus
BusName=org.freedesktop.timedate1
ExecStart=/lib/systemd/systemd-timedated
ProtectSystem=strict
ReadWritePaths=/mnt/root/etc
BindPaths=/mnt/root/etc:/etc
CapabilityBoundingSet=~CAP_SYS_TIME
SystemCallFilter=~@clock
SystemCallErrorNumber=EPERM
END
systemctl daemon-reload`)
	set := func() error {
		b.output("systemctl", "start", "systemd-timedated")
		b.expectNoClock("systemd-timedated")
		return b.try("busctl", "call", "org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1", "SetTimezone", "sb", "Pacific/Auckland", "false")
	}
	isSet := func() bool { return b.try("test", "-L", "/mnt/root/etc/localtime") == nil }
	unlock := func() string {
		t.Helper()
		out, err := b.command(immutectl, "unlock").CombinedOutput()
		if err != nil {
			t.Fatalf("unlock: %v: %s", err, out)
		}
		return string(out)
	}
	const advice = `run "systemctl stop systemd-timedated.service" first`

	b.ask("lock")
	if said := unlock(); strings.Contains(said, "timedated") {
		t.Errorf("the unlock names a service that does not run: %s", said)
	}
	b.ask("lock")
	if set() == nil || isSet() {
		t.Fatal("the time zone is set on the locked system")
	}
	if said := unlock(); !strings.Contains(said, advice) {
		t.Errorf("the unlock says %q, want %q", said, advice)
	}
	if err := set(); err != nil || isSet() {
		t.Errorf("timedated now sets what it was refused (%v): the advice is of no use", err)
	}
	b.output("systemctl", "stop", "systemd-timedated")
	if err := set(); err != nil || !isSet() {
		t.Errorf("after what was advised, the time zone is not set: %v", err)
	}
}

// expectNoClock ends the test unless the kernel prevents the service from setting the clock,
// which is this machine's: timedated passes a time zone to the kernel, and the first program
// to do so moves the clock (do_sys_settimeofday64 in kernel/time/time.c).
func (b *booted) expectNoClock(service string) {
	b.t.Helper()
	text := b.output("sh", "-c", "sed -n 's/^CapBnd:\t//p' /proc/$(systemctl show --property=MainPID --value "+service+")/status")
	bounding, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
	if err != nil || bounding&(1<<unix.CAP_SYS_TIME) != 0 {
		b.t.Fatalf("%s could set the clock of the machine: %q, %v", service, text, err)
	}
}
