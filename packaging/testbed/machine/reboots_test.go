package machine

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

//go:embed reboots.sh
var rebootsScript string

// rebootUnits run it, instead of what else a system is started for.
var rebootUnits = map[string]string{
	"reboots-watch.service": `[Unit]
DefaultDependencies=no
After=local-fs.target
RequiresMountsFor=` + islands + `
Conflicts=shutdown.target
Before=shutdown.target
[Service]
ExecStart=/bin/bash ` + rebootsPath + ` watch ` + islands + `
`,
	"reboots-look.service": `[Unit]
DefaultDependencies=no
After=sysinit.target dbus.socket immutray-came-up.service
[Service]
ExecStart=/bin/bash ` + rebootsPath + ` look
`,
	"reboots-hang.service": `[Unit]
DefaultDependencies=no
After=` + sealUnit + `
Before=sysinit.target immutray-came-up.service
ConditionKernelCommandLine=cut=boot
[Service]
Type=oneshot
ExecStart=/bin/bash ` + rebootsPath + ` hang
`,
	// To come as far as this target is what such a boot is for.
	"immutray-came-up.service.d/reboots.conf": `[Service]
ExecCondition=
`,
	rebootsTarget: `[Unit]
Requires=sysinit.target dbus.socket
Wants=reboots-watch.service reboots-look.service reboots-hang.service
`,
	// There is nothing else in the bare machine that anything waits for.
	"systemd-udev-trigger.service.d/disk.conf": `[Service]
ExecStart=
ExecStart=udevadm trigger --action=add --subsystem-match=block
`,
}

const (
	rebootsTarget = "reboots.target"
	rebootsPath   = "/usr/local/lib/immutray-test/reboots.sh"
)

// prepareReboots installs what looks at the boots, enables the seal, and leaves the
// machine locked, with an update to install.
// From then on the machine is bare.
func prepareReboots(t *testing.T, v *vm) {
	t.Helper()
	write := func(path, text string) {
		_, err := v.as(root).runWith(strings.NewReader(text), "mkdir -p $(dirname "+path+") && cat >"+path)
		check(t, err)
	}
	write(rebootsPath, rebootsScript)
	for name, text := range rebootUnits {
		write("/etc/systemd/system/"+name, text)
	}
	must(t, v.as(root), "systemctl enable "+sealUnit)
	askForUpdate(t, v)
	check(t, v.shutDown())
	v.bare = true
}

// What takes time early in a boot, and neither the seal nor anything that is looked at
// depends on. Only the history needs the journal on the disk. One boot has all of it.
const (
	leftOut = " systemd.mask=systemd-network-generator.service systemd.mask=systemd-modules-load.service" +
		" systemd.mask=systemd-sysctl.service systemd.mask=systemd-random-seed.service" +
		" systemd.mask=systemd-udev-load-credentials.service"
	noHistory = " systemd.mask=systemd-journal-flush.service"
)

// sayAll has PID 1 tell the console what it starts, and what fails.
const sayAll = "loglevel=7 printk.devkmsg=on systemd.log_target=kmsg systemd.log_level=info systemd.log_color=no systemd.status_unit_format=combined systemd.show_status=no"

// A bootReport is what reboots.sh and PID 1 told of one boot.
type bootReport struct {
	seal    []string      // active state and result of the unit
	early   []string      // the services that were started before the seal was done
	failed  []string      // what PID 1 says of units that failed
	status  helper.Status // as the system came up
	left    string        // locked or unlocked, if it was brought there
	written []string      // the protected paths that could be written to
	trouble []string      // frozen islands, errors
	updated string        // the versions of what was updated, and whether an update is still asked for
	halfway string        // where it was stopped: the mount flags then, "in a window" or "in the boot"
	history []pastWindow
	ended   bool
	// extension is whether a configuration extension lay over /etc.
	extension bool
}

func (r *bootReport) readNotes(notes string) (err error) {
	for _, line := range strings.Split(strings.ReplaceAll(notes, "\r", ""), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "":
		case "seal":
			r.seal = strings.Fields(rest)
			slices.Sort(r.seal)
		case "state":
			err = errors.Join(err, json.Unmarshal([]byte(rest), &r.status))
		case "extension":
			r.extension = true
		case "left":
			r.left = rest
		case "written":
			r.written = append(r.written, rest)
		case "history":
			var history struct{ Windows []pastWindow }
			err = errors.Join(err, json.Unmarshal([]byte(rest), &history))
			r.history = history.Windows
		case "updated":
			r.updated = rest
		case "halfway":
			r.halfway = rest
		case "end":
			r.ended = true
		default:
			r.trouble = append(r.trouble, line)
		}
	}
	return err
}

var (
	startLine = regexp.MustCompile(`systemd\[1\]: (?:Starting|Started) ([^ ]+\.service)`)
	failLine  = regexp.MustCompile(`systemd\[1\]: (.*Failed with result.*|Dependency failed .*|Failed to start .*|Timed out .*)`)
)

func (r *bootReport) readConsole(console string) {
	for _, match := range failLine.FindAllStringSubmatch(console, -1) {
		r.failed = append(r.failed, strings.TrimSpace(match[1]))
	}
	before, _, sealed := strings.Cut(console, "systemd[1]: Finished "+sealUnit)
	if !sealed {
		return
	}
	for _, match := range startLine.FindAllStringSubmatch(before, -1) {
		if match[1] != sealUnit {
			r.early = append(r.early, match[1])
		}
	}
}

// bootOnce switches the machine on, waits until it is off again, and returns the report.
// A change that stops in the middle ends with a power cut.
func bootOnce(t *testing.T, v *vm, words ...string) (report bootReport) {
	t.Helper()
	notesBefore, consoleBefore := len(text(t, v.notesFile())), len(text(t, v.consoleFile()))
	check(t, v.start(append([]string{"systemd.unit=" + rebootsTarget, sayAll}, words...)...))
	err := waitTrying(100*time.Millisecond, "the machine to look at the seal and to go off", bootTime, func() error {
		on := v.isOn()
		report = bootReport{}
		err := report.readNotes(text(t, v.notesFile())[notesBefore:])
		if err == nil && (!on || report.halfway != "") {
			return nil
		}
		return fmt.Errorf("it is on (%v), and says %+v: %w", on, report, err)
	})
	check(t, err)
	v.cutPower()
	report.readConsole(text(t, v.consoleFile())[consoleBefore:])
	return report
}

// text is what a file has; one that is not there has nothing.
func text(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// mayBeEarly are the services that come before the seal: those by which there are
// devices and mounts at all, and the test's own.
var mayBeEarly = []string{
	"systemd-journald.service", "systemd-udevd.service", "systemd-udev-trigger.service",
	"systemd-udev-load-credentials.service", "systemd-modules-load.service", "modprobe@",
	"kmod-static-nodes.service", "systemd-sysctl.service", "systemd-sysusers.service",
	"systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-setup-dev-early.service",
	"systemd-remount-fs.service", "systemd-fsck-root.service", "systemd-fsck@",
	"systemd-network-generator.service", "systemd-random-seed.service", "systemd-binfmt.service",
	"systemd-journal-flush.service", "keyboard-setup.service", "systemd-timesyncd.service",
	unsealUnit, "reboots-watch.service",
}

// expectSealed fails unless the seal did its work at this boot, and did it early.
func (r bootReport) expectSealed(t *testing.T) {
	t.Helper()
	if r.status.State != helper.Locked || !slices.Equal(r.seal, sealDone) || len(r.written) > 0 {
		t.Errorf("the system came up %s, %q could be written to, and the seal ended with %q: %+v", r.status.State, r.written, r.seal, r.status.Paths)
	}
	if !slices.Contains(r.early, "systemd-journald.service") {
		t.Errorf("before the seal only %q were started: the console does not tell all", r.early)
	}
	for _, unit := range r.early {
		if !slices.ContainsFunc(mayBeEarly, func(known string) bool { return strings.HasPrefix(unit, known) }) {
			t.Errorf("%s was started before the seal was done", unit)
		}
	}
}

var (
	sealDone    = []string{"ActiveState=active", "Result=success"}
	sealSkipped = []string{"ActiveState=inactive", "Result=exec-condition"}
)

// expectGood fails when the boot did not go as it was asked to.
func (r bootReport) expectGood(t *testing.T, left string) {
	t.Helper()
	if len(r.failed) > 0 || len(r.trouble) > 0 || !r.ended || r.left != left {
		t.Errorf("units failed: %q; trouble: %q; ended: %v; left %q, want %q", r.failed, r.trouble, r.ended, r.left, left)
	}
}
