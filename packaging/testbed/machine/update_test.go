package machine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

// prepareUpdate leaves an update of a package to be installed by the next boot, as
// systemd.offline-updates(7) has it. It is not PackageKit's: that gives up after 25 s
// without an answer, which the slow machine may need to start its daemon.
const prepareUpdate = `set -e
mkdir -p /var/cache/updates && cd /var/cache/updates
for version in 1 2; do
	mkdir -p tree/DEBIAN tree/usr/lib tree/etc
	printf '%s\n' 'Package: updated' "Version: $version" 'Architecture: all' 'Maintainer: Nobody <nobody@example.org>' 'Description: updated' >tree/DEBIAN/control
	echo $version | tee tree/usr/lib/updated >tree/etc/updated
	dpkg-deb --root-owner-group -Znone --build tree updated_$version.deb
done
dpkg --install updated_1.deb
cat >/etc/systemd/system/` + updateUnit + ` <<END
[Unit]
DefaultDependencies=no
Requires=sysinit.target
After=sysinit.target system-update-pre.target
Before=system-update.target shutdown.target
FailureAction=reboot
SuccessAction=reboot
[Service]
Type=oneshot
ExecCondition=test -L /system-update
ExecStart=rm /system-update
ExecStart=dpkg --install /var/cache/updates/updated_2.deb
[Install]
WantedBy=system-update.target
END
systemctl enable ` + updateUnit + `
# It takes back what is to be installed, anybody's, when it sees that packages have changed.
systemctl stop packagekit.service
ln -s /var/cache/updates /system-update`

const updateUnit = "test-update.service"

// askForUpdate leaves a machine that is locked, and is to install an update when it boots.
func askForUpdate(t *testing.T, v *vm) {
	if out, err := v.as(root).runFor(installTime, strings.NewReader(prepareUpdate), "bash"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The mode for updates takes the place of the default target alone.
	must(t, v.as(root), "systemctl set-default multi-user.target")
	out := must(t, v.as(root), "immutectl lock")
	if !strings.Contains(out, "the next boot will come up unlocked: an update is waiting to be installed") {
		t.Errorf("lock says nothing of the update: %s", out)
	}
	expectState(t, v, helper.Locked)
}

// An update that waits is installed, although the system was locked and the seal is
// enabled. The next boot is sealed again; see updated.
func installUpdate(t *testing.T, v *vm) {
	before := len(text(t, v.consoleFile()))
	check(t, v.start(strings.Fields(sayAll+leftOut+noHistory)...))
	// It restarts by itself, for which QEMU ends.
	err := waitTrying(time.Second, "the update to be installed", bootTime, func() error {
		if v.isOn() {
			return errors.New("it is on")
		}
		return nil
	})
	console := text(t, v.consoleFile())[before:]
	v.cutPower()
	check(t, err)
	var r bootReport
	r.readConsole(console)
	if len(r.failed) > 0 {
		t.Errorf("units failed: %q", r.failed)
	}
	for _, unit := range []string{unsealUnit, updateUnit} {
		if !strings.Contains(console, "systemd[1]: Starting "+unit) {
			t.Errorf("%s was not started", unit)
		}
	}
}

// updated is the boot after it.
var updated = bootCase{"after an update", "tell=updated leave=locked" + leftOut + noHistory, func(t *testing.T, r bootReport) {
	sealed("locked")(t, r)
	if want := "2 2 no link"; r.updated != want {
		t.Errorf("of the package there is %q, want %q", r.updated, want)
	}
}}
