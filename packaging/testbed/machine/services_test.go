package machine

import (
	"strings"
	"testing"
)

const (
	addConnection = "nmcli connection add type dummy ifname probe con-name probe"
	connection    = "/etc/NetworkManager/system-connections/probe.nmconnection"
	setZone       = "timedatectl set-timezone Pacific/Auckland"
)

// What a person unlocks for, on a machine that was sealed when it started: services write
// to /etc that have been running ever since, and nothing has to be restarted. Once it is
// locked they can't. That a time zone was refused keeps timedated from writing that one
// later: so much is said.
func servicesWriteAfterUnlock(t *testing.T, v *vm) {
	mayNot := func(when string) {
		t.Helper()
		for _, command := range []string{addConnection, setZone} {
			if said, err := v.as(root).run(command); err == nil {
				t.Errorf("%s, this works: %s: %s", when, command, said)
			}
		}
	}
	must(t, v.as(root), "timeout 100 sh -c 'until nmcli general status; do sleep 1; done'")
	if said := must(t, v.as(root), "immutectl unlock 2>&1"); strings.Contains(said, "still see") {
		t.Errorf("the unlock names what it has not reached: %s", said)
	}
	must(t, v.as(root), addConnection+" && test -e "+connection)
	if zone := must(t, v.as(root), setZone+" && readlink /etc/localtime"); !strings.Contains(zone, "Auckland") {
		t.Errorf("the time zone is %s", zone)
	}
	must(t, v.as(root), "nmcli connection delete probe && timedatectl set-timezone Etc/UTC")

	lock(t, v)
	mayNot("locked")
	said := must(t, v.as(root), "immutectl unlock 2>&1")
	// It ends by itself after half a minute, and has forgotten then.
	_, ended := v.as(root).run("systemctl is-active --quiet systemd-timedated.service")
	if ended == nil && !strings.Contains(said, "systemctl stop systemd-timedated.service") || strings.Contains(said, "still see") {
		t.Errorf("after a time zone was refused, the unlock says %q, want what timedated needs", said)
	}
	if zone := must(t, v.as(root), "systemctl stop systemd-timedated.service && "+setZone+" && readlink /etc/localtime"); !strings.Contains(zone, "Auckland") {
		t.Errorf("the time zone is %s", zone)
	}
	must(t, v.as(root), "timedatectl set-timezone Etc/UTC")
	lock(t, v)
	mayNot("locked again")
}
