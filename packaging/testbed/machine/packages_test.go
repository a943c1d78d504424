package machine

import (
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
)

const aptInstall = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet "

// smallPackage is another package, with a file in / and one in /etc. Its installation waits
// until the test lets it go on.
const smallPackage = "/var/tmp/small.deb"

const buildSmallPackage = `set -e
mkdir -p /var/tmp/small/DEBIAN /var/tmp/small/usr/lib /var/tmp/small/etc
cd /var/tmp/small
printf '%s\n' 'Package: small' 'Version: 1' 'Architecture: all' 'Maintainer: Nobody <nobody@example.org>' 'Description: small' >DEBIAN/control
printf '%s\n' '#!/bin/sh' 'mkfifo /run/go-on && read -r line </run/go-on' >DEBIAN/preinst
chmod 755 DEBIAN/preinst
echo small | tee usr/lib/small >etc/small
dpkg-deb --root-owner-group --build . ` + smallPackage

// A locked system refuses to install, upgrade or remove anything, before anything is
// begun. dpkg by itself would leave packages half installed, in its database in /var/lib.
func packagesStay(t *testing.T, v *vm) {
	must(t, v.as(root), buildSmallPackage)
	must(t, v.as(root), "cp /var/lib/dpkg/status /run/dpkg-status")
	for _, command := range []string{
		aptInstall + smallPackage,
		"apt-get remove --yes immutray",
		"dpkg --remove immutray",
	} {
		out, err := v.as(root).run(command)
		if codeOf(err) <= 0 || !strings.Contains(out, "cannot change packages: /usr is read-only") || !strings.Contains(out, `"immutectl unlock"`) {
			t.Errorf("in a locked system %q ended with %v, want it refused, and told why", command, err)
		}
	}
	must(t, v.as(root), "cmp /var/lib/dpkg/status /run/dpkg-status")
	expectDpkgClean(t, v)
	expectState(t, v, helper.Locked)
	unlock(t, v)
}

// In an unlocked system the same installation is completed: a lock meanwhile is refused, and
// names the package manager.
func dpkgIsRunning(t *testing.T, v *vm) {
	ended := installSmallPackage(t, v)
	out, err := v.as(root).run("immutectl lock")
	if codeOf(err) != helper.ExitPackageManager || !strings.Contains(out, `error: cannot lock: dpkg is running: "apt-get" (pid `) {
		t.Errorf("lock during an installation ended with %v, want exit code %d and the package manager", err, helper.ExitPackageManager)
	}
	expectState(t, v, helper.Unlocked)
	letGoOn(t, v, ended)
	lock(t, v)
	expectSmallPackage(t, v)
}

// installSmallPackage begins to, and returns when that waits to go on. How it ended is
// sent when it has.
func installSmallPackage(t *testing.T, v *vm) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := v.as(root).run(aptInstall + smallPackage)
		ended <- err
	}()
	must(t, v.as(root), "timeout 60 sh -c 'until test -p /run/go-on; do sleep 0.2; done'")
	return ended
}

// letGoOn lets the installation go on, and waits for its end.
func letGoOn(t *testing.T, v *vm, ended <-chan error) {
	t.Helper()
	must(t, v.as(root), "timeout 60 sh -c 'echo >/run/go-on'")
	if err := <-ended; err != nil {
		t.Fatalf("the installation did not go on: %v", err)
	}
}

// expectSmallPackage fails unless it is installed, and all packages are as they should be.
func expectSmallPackage(t *testing.T, v *vm) {
	t.Helper()
	for _, name := range []string{"small", "immutray"} {
		if got := must(t, v.as(root), "dpkg-query --show --showformat='${Status}' "+name); got != "install ok installed" {
			t.Errorf("the package %s is %q", name, got)
		}
	}
	must(t, v.as(root), "test -s /usr/lib/small && test -s /etc/small")
	if got := must(t, v.as(root), "dpkg --verify small"); got != "" {
		t.Errorf("not as in the package: %s", got)
	}
	expectDpkgClean(t, v)
}

// expectDpkgClean fails when a package is half done.
func expectDpkgClean(t *testing.T, v *vm) {
	t.Helper()
	if got := must(t, v.as(root), "dpkg --audit; ls -A /var/lib/dpkg/updates"); got != "" {
		t.Errorf("packages are half done: %s", got)
	}
}

// files lists what is on the disk but for logs, caches, temporary files, and what apt, dpkg
// and the services of a desktop note for themselves.
func files(t *testing.T, v *vm) []string {
	t.Helper()
	own := []string{
		"/var/lib/apt", "/var/lib/dpkg/*-old", "/var/lib/PackageKit", "/var/lib/NetworkManager", "/var/lib/upower",
		"/var/lib/udisks2", "/var/lib/logrotate", "/var/lib/systemd/timers", "/var/lib/systemd/timesync",
	}
	list := must(t, v.as(root), `find / /etc /home/* /var/lib /var/spool -xdev \( -path '`+strings.Join(own, "' -o -path '")+`' \) -prune -o -print`)
	lines := strings.Split(list, "\n")
	slices.Sort(lines)
	return lines
}

// removeAndPurge takes all of it from a machine that was sealed at boot. before is what
// was there before it was installed.
func removeAndPurge(t *testing.T, v *vm, before []string) {
	unlock(t, v)
	must(t, v.as(root), "systemctl --quiet enable "+sealUnit+" && systemctl start "+sealUnit)
	expectState(t, v, helper.Locked)
	unlock(t, v)

	must(t, v.as(root), "dpkg --remove small immutray")
	if got := must(t, v.as(root), "systemctl list-units --all --no-legend 'immut*'"); got != "" {
		t.Errorf("systemd still has %s", got)
	}
	expectNothingFailed(t, v)

	must(t, v.as(root), "dpkg --purge small immutray")
	expectDpkgClean(t, v)
	after := files(t, v)
	for _, file := range after {
		if _, found := slices.BinarySearch(before, file); !found {
			t.Errorf("left over: %s", file)
		}
	}
	for _, file := range before {
		if _, found := slices.BinarySearch(after, file); !found {
			t.Errorf("taken away: %s", file)
		}
	}
	if got := must(t, v.as(root), "ls -d /run/immutray* 2>/dev/null || true"); got != "" {
		t.Errorf("left over: %s", got)
	}
}
