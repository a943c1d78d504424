package machine

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/doctor"
)

// A step goes on from where the one before has left the machine.
type step struct {
	name string
	do   func(t *testing.T, v *vm)
}

// What needs no desktop, from the first boot until the package is purged. One machine
// for all of it, as each boot takes a minute.
func TestSystem(t *testing.T) { onEverySuite(t, system) }

func system(t *testing.T, suite string) {
	v := newMachine(t, suite)
	var before []string
	for _, step := range []step{
		{"the guest has the classic layout", expectClassicLayout},
		{"islands are written to from now on", startWriter},
		{"list files", func(t *testing.T, v *vm) { before = files(t, v) }},
		{"installing locks nothing", installLocksNothing},
		{"the machine is ready", expectReady},
		{"lock and unlock", lockAndUnlock},
		{"what runs at night, in a locked system", atNight},
		{"from a private mount namespace", fromPrivateNamespace},
		{"blocked by a writer", blockedByWriter},
		{"configuration extensions", configurationExtensions},
		{"packages of a locked system stay as they are", packagesStay},
		{"dpkg is running", dpkgIsRunning},
		{"no person at the desk", onlyBySSH},
		{"an administrator's password on a terminal", passwordOnTerminal},
		{"the administrator at the desk and by ssh", administratorAtTheDesk},
		{"another person at the desk", anotherAtTheDesk},
		{"removing and purging", func(t *testing.T, v *vm) { removeAndPurge(t, v, before) }},
		{"islands were writable all the time", expectWriter},
		{"nothing failed", expectNothingFailed},
		{"shutting down", shutDown},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, v) }) {
			return
		}
	}
}

func expectClassicLayout(t *testing.T, v *vm) {
	const running = "running\n" // else it is "degraded"
	if got, err := v.as(root).run("systemctl is-system-running --wait"); got != running {
		t.Errorf("the guest is %s, %v", got, err)
	}
	expectNothingFailed(t, v)
	paths := strings.Fields("/ /etc " + islands + " /root /srv /media /var/backups /var/mail")
	want := strings.Join(paths, " 256\n") + " 256\n" // the inode of a subvolume's root
	show := "for path in " + strings.Join(paths, " ") + "; do mountpoint --quiet $path && echo $path $(stat --format=%i $path); done"
	if got := must(t, v.as(root), show); got != want {
		t.Errorf("these are subvolumes and mounts:\n%swant:\n%s", got, want)
	}
	// It can be asked for connections, and leaves alone the one that the tests come in by.
	if got := must(t, v.as(root), "nmcli --get-values=RUNNING general; nmcli --get-values=TYPE,STATE device"); !strings.HasPrefix(got, "running\n") || !strings.Contains(got, "ethernet:unmanaged\n") {
		t.Errorf("NetworkManager says %q", got)
	}
	if out, err := v.as(root).run("timeout 5 bash -c '</dev/tcp/10.0.2.2/22'"); err == nil {
		t.Errorf("the guest reaches a network: %s", out)
	}
}

func installLocksNothing(t *testing.T, v *vm) {
	install(t, v)
	expectState(t, v, helper.Unlocked)
	if got := must(t, v.as(root), "systemctl list-units --all --no-legend 'immut*'"); got != "" {
		t.Errorf("installing started %s", got)
	}
	for line := range strings.Lines(must(t, v.as(root), "systemctl list-unit-files --no-legend 'immut*'")) {
		if unit := strings.Fields(line); unit[1] != "static" && unit[1] != "disabled" {
			t.Errorf("after installing %s is %s", unit[0], unit[1])
		}
	}
	if got := must(t, v.as(root), exposed); got != "" {
		t.Errorf("without their drop-in are: %s", got)
	}
}

// exposed lists the services for which systemd has not found what hardens them.
const exposed = `for unit in $(systemctl list-unit-files --no-legend 'immut*.service' | sed 's/ .*//; s/@/@x/'); do
	systemctl show --property=DropInPaths $unit | grep --quiet /10-common.conf || echo $unit
done`

// expectReady asks the doctor, as root and as a user, both logged in by ssh.
func expectReady(t *testing.T, v *vm) {
	for _, name := range []string{root, other} {
		var r doctor.Report
		check(t, json.Unmarshal([]byte(must(t, v.as(name), "immutectl doctor --json")), &r))
		var bad []string
		for _, f := range r.Findings {
			if f.Severity != doctor.OK {
				bad = append(bad, f.What)
			}
		}
		if want := "sealing at boot is not enabled"; !r.Ready || strings.Join(bad, "\n") != want {
			t.Errorf("the doctor's report for %s: ready %v, %q; want it ready, and only %q", name, r.Ready, bad, want)
		}
		if unseen := strings.Join(r.Unseen, "\n"); !strings.Contains(unseen, "the polkit agent and the tray: there is no desktop here") {
			t.Errorf("the doctor's report for %s has not seen %q, want the agent and the tray among it", name, unseen)
		}
	}
}

// The whole way of root's lock and unlock on a real system, with every hardening option
// of the units in force.
func lockAndUnlock(t *testing.T, v *vm) {
	lock(t, v)
	must(t, v.as(root), "immutectl is-locked")
	expectRecord(t, v, intent, `about to lock "/" "/etc" for root`)
	expectRecord(t, v, outcome, "lock for root: done, the system is locked")
	unlock(t, v)
	if _, err := v.as(root).run("immutectl is-locked"); codeOf(err) != helper.ExitFailed {
		t.Errorf("is-locked in an unlocked system: %v, want exit code %d", err, helper.ExitFailed)
	}
	expectRecord(t, v, outcome, "unlock for root: done, the system is unlocked")
}

// What a stock desktop does by itself does not fail because the system is locked.
func atNight(t *testing.T, v *vm) {
	lock(t, v)
	timers := strings.Fields(must(t, v.as(root), "systemctl show --property=Unit --value '*.timer'"))
	for _, unit := range []string{
		"apt-daily.service", "apt-daily-upgrade.service", "dpkg-db-backup.service", "e2scrub_all.service",
		"fstrim.service", "logrotate.service", "man-db.service", "systemd-tmpfiles-clean.service",
	} {
		if !slices.Contains(timers, unit) {
			t.Errorf("%s has no timer: these are there: %q", unit, timers)
		}
	}
	if out, err := v.as(root).runFor(bootTime, nil, "systemctl start "+strings.Join(timers, " ")); err != nil {
		t.Errorf("what runs at night failed: %v: %s", err, out)
	}
	expectNothingFailed(t, v)
	must(t, v.as(root), "test -s /var/backups/dpkg.status.0")
	expectState(t, v, helper.Locked)
	unlock(t, v)
}

// As pkexec starts the helper for an applet that was started in a private mount
// namespace: the unit works in the machine's.
func fromPrivateNamespace(t *testing.T, v *vm) {
	const pkexec = "PKEXEC_UID=1000 unshare --mount "
	must(t, v.as(root), pkexec+helper.HelperPath+" lock")
	expectState(t, v, helper.Locked)
	must(t, v.as(root), pkexec+helper.HelperPath+" unlock")
	expectState(t, v, helper.Unlocked)
}

func blockedByWriter(t *testing.T, v *vm) {
	must(t, v.as(root), "systemd-run --quiet --unit=blocker bash -c 'exec 3>/opt/held; exec sleep infinity'; until test -e /opt/held; do sleep 0.1; done")
	out, err := v.as(root).run("immutectl lock")
	if codeOf(err) != helper.ExitBlocked || !strings.Contains(out, "/opt/held") {
		t.Errorf("lock with an open file ended with %v, want exit code %d and the file's name", err, helper.ExitBlocked)
	}
	// Nothing has changed on the path that is written to. The other is locked, which is
	// the safe side.
	s, err := v.state()
	check(t, err)
	for _, p := range s.Paths {
		if p.Path == "/" && p.State != helper.Unlocked {
			t.Errorf("after a lock that was refused / is %s, want it as it was", p.State)
		}
	}
	must(t, v.as(root), "systemctl is-active --quiet blocker && systemctl stop blocker && rm /opt/held")
	lock(t, v)
}

func shutDown(t *testing.T, v *vm) {
	check(t, v.shutDown())
	if out, err := exec.Command("qemu-img", "check", "-q", v.disk()).CombinedOutput(); err != nil {
		t.Errorf("the disk is damaged: %v: %s", err, out)
	}
}
