package machine

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

// realPackages are the archive's, in a repository in the guest (see repository.sh). Each
// does something else with the system when it is installed.
var realPackages = []struct {
	name    string
	enabled string // what "systemctl is-enabled" says of its unit then
	unit    string
	leaves  string // succeeds while it is installed
}{
	{"at", "enabled", "atd.service", "systemctl is-active atd.service && stat /var/spool/cron/atjobs"},
	{"uuid-runtime", "enabled", "uuidd.socket", "systemctl is-active uuidd.socket && getent passwd uuidd"},
	{"linux-image-cloud-amd64", "", "", "ls /boot/initrd.img-*-cloud-amd64 /lib/modules/*-cloud-amd64/modules.dep"},
	{"avahi-daemon", "enabled", "avahi-daemon.service", "busctl call org.freedesktop.Avahi / org.freedesktop.Avahi.Server GetVersionString"},
	{"rtkit", "disabled", "rtkit-daemon.service", "pkaction --action-id org.freedesktop.RealtimeKit1.acquire-real-time"},
}

// addRepository adds it to apt's sources.
const addRepository = "echo 'deb [trusted=yes] file:/var/cache/repository ./' >/run/repository.list && apt-get " + fromRepository + "--quiet update"

// fromRepository has apt look nowhere else.
const fromRepository = "-o Dir::Etc::SourceList=/run/repository.list -o Dir::Etc::SourceParts=/dev/null "

// A command that alone may write installs and removes what there is in an archive, with
// the whole system locked all the while.
func TestRun(t *testing.T) {
	t.Parallel()
	v := newInstalled(t, everything)
	startWriter(t, v)
	atTheDesk(t, v)
	must(t, v.as(root), addRepository)
	lock(t, v)
	startProber(t, v)
	for _, step := range []step{
		{"packages are installed, and the machine is asked to go off and to sleep", installWhileAsked},
		{"what PID 1 writes", systemWide},
		{"packages are removed", removePackages},
		{"nothing else could write all the time", stopProber},
		{"islands were writable all the time", expectWriter},
		{"the machine goes off when it is asked to", asUsual},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, v) }) {
			return
		}
	}
}

// allPackages is their names.
func allPackages() string {
	var names []string
	for _, p := range realPackages {
		names = append(names, p.name)
	}
	return strings.Join(names, " ")
}

func removePackages(t *testing.T, v *vm) {
	apt(t, v, "remove 'linux-image-.*-cloud-amd64' "+allPackages())
	for _, p := range realPackages {
		if out, err := v.as(root).run(p.leaves); err == nil {
			t.Errorf("after %s was removed: %s", p.name, out)
		}
	}
}

// What a command asks PID 1 to write is read-only for that, unless the whole system is
// unlocked meanwhile.
func systemWide(t *testing.T, v *vm) {
	const disable = "systemctl disable atd.service"
	out, err := v.as(root).run("immutectl run -- " + disable)
	if codeOf(err) <= 0 || !strings.Contains(out, "Read-only file system") {
		t.Errorf("PID 1 was asked to write, and that ended with %v, want it read-only", err)
	}
	stopProber(t, v)
	must(t, v.as(root), "immutectl run --system-wide -- "+disable)
	expectState(t, v, helper.Locked)
	if got, _ := v.as(root).run("systemctl is-enabled atd.service"); strings.TrimSpace(got) != "disabled" {
		t.Errorf("after %q it is %q", disable, got)
	}
	startProber(t, v)
}

// startProber starts what ends as soon as it can write to a protected path. Nothing is
// ever written to what it reads from: that is a pause without a program.
func startProber(t *testing.T, v *vm) {
	t.Helper()
	must(t, v.as(root), "systemd-run --quiet --unit=prober --collect bash -c "+
		"'exec 9<> <(:); until echo 2>/dev/null >/.probe || echo 2>/dev/null >/etc/.probe; do read -r -t 0.2 -u 9; done'")
}

// stopProber fails if it has ended by itself.
func stopProber(t *testing.T, v *vm) {
	t.Helper()
	must(t, v.as(root), "systemctl is-active prober && systemctl stop prober")
}

// apt has apt-get do something in a command of its own, and fails unless all is well
// afterwards.
func apt(t *testing.T, v *vm, what string) {
	t.Helper()
	out, err := runApt(v, what)
	check(t, err)
	t.Log(out)
	expectWhole(t, v)
}

func runApt(v *vm, what string) (string, error) {
	return v.as(root).runFor(installTime, nil, "DEBIAN_FRONTEND=noninteractive immutectl run --reason 'five packages' -- apt-get "+fromRepository+"--yes --quiet "+what)
}

// expectWhole fails unless the system is locked and well, and dpkg has done all its work.
func expectWhole(t *testing.T, v *vm) {
	t.Helper()
	expectState(t, v, helper.Locked)
	expectDpkgClean(t, v)
	must(t, v.as(root), "apt-get check")
	if got, err := v.as(root).run("systemctl is-system-running"); strings.TrimSpace(got) != "running" {
		t.Errorf("the guest is %s, %v", got, err)
	}
	expectNothingFailed(t, v)
}
