package machine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

// prepareUpdate has PackageKit prepare an update of a package, and asks for it to be
// installed at the next boot: what a desktop's "Restart and install updates" does.
const prepareUpdate = `set -e
mkdir -p /var/cache/updates && cd /var/cache/updates
for version in 1 2; do
	mkdir -p tree/DEBIAN tree/usr/lib tree/etc
	printf '%s\n' 'Package: updated' "Version: $version" 'Architecture: all' 'Maintainer: Nobody <nobody@example.org>' 'Description: updated' >tree/DEBIAN/control
	echo $version | tee tree/usr/lib/updated >tree/etc/updated
	dpkg-deb --root-owner-group -Znone --build tree updated_$version.deb
done
dpkg --install updated_1.deb
{
	dpkg-deb --field updated_2.deb
	echo Filename: ./updated_2.deb
	echo "Size: $(stat --format=%s updated_2.deb)"
	echo "SHA256: $(sha256sum updated_2.deb | cut -d' ' -f1)"
} >Packages
rm -rf /etc/apt/sources.list.d /etc/apt/sources.list
echo 'deb [trusted=yes] file:/var/cache/updates ./' >/etc/apt/sources.list
apt-get --quiet update
# PackageKit asks NetworkManager whether there is a network to download from.
nmcli connection add save no type dummy ifname dummy0 con-name dummy \
	ipv4.method manual ipv4.addresses 10.9.9.1/24 ipv4.gateway 10.9.9.2
nmcli connection up dummy
pkcon --noninteractive --plain --only-download update
pkcon --noninteractive --plain offline-trigger
test -L /system-update`

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
	// PackageKit has it started, and its own restart cuts it off.
	cutOff := func(line string) bool { return strings.HasPrefix(line, "NetworkManager-wait-online.service: ") }
	if failed := slices.DeleteFunc(r.failed, cutOff); len(failed) > 0 {
		t.Errorf("units failed: %q", failed)
	}
	for _, unit := range []string{unsealUnit, "packagekit-offline-update.service"} {
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
