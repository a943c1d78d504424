package machine

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"immutray.org/helper"
)

// enableLogout has the system locked when the last person has logged out, as the README
// says. And the one whom the display manager logs in next is no administrator.
const enableLogout = `mkdir -p /etc/immutray && echo 'relock_on = ["logout"]' >/etc/immutray/config.toml
systemctl enable --quiet --now immutray-logout.path
sed -i s/autologin-user=rrs/autologin-user=ann/ /etc/lightdm/lightdm.conf.d/guest.conf`

// lastLogouts waits until root has logged out, and then ends the session at the desk: a
// login by ssh is one as well. It says what comes of each on the second serial port.
const lastLogouts = `say() { immutectl is-locked; echo "$1: is-locked ended with $?" >/dev/ttyS1; }
while loginctl list-sessions --no-legend | grep --quiet ' root '; do sleep 0.2; done
systemctl start immutray-logout.service
say 'one has logged out'
systemctl stop lightdm
timeout 120 sh -c 'until immutectl is-locked; do sleep 0.5; done'
say 'the last has'`

// The administrator leaves the desk, and no applet is there any more to lock.
func (d *desk) lastLogoutLocks(t *testing.T) {
	unlock(t, d.vm)
	must(t, d.as(root), enableLogout)
	_, err := d.as(root).runWith(strings.NewReader(lastLogouts), "cat >/run/last-logouts && systemd-run --quiet --collect bash /run/last-logouts")
	check(t, err)
	check(t, d.as(root).logOut())
	var said string
	check(t, waitFor("the last logout", bootTime, func() error {
		notes, err := os.ReadFile(d.notesFile())
		said = strings.ReplaceAll(string(notes), "\r", "")
		if err == nil && !strings.Contains(said, "the last has") {
			err = fmt.Errorf("the guest said %q", said)
		}
		return err
	}))
	const want = "one has logged out: is-locked ended with 1\nthe last has: is-locked ended with 0\n"
	if said != want {
		t.Errorf("the guest said\n%swant\n%s", said, want)
	}
	expectState(t, d.vm, helper.Locked)
	expectEnd(t, d.vm, "logout")
}
