package machine

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
)

const sealUnit = "immutability-seal.service"

//go:embed reboots.sh
var rebootsScript string

// rebootUnits run it, instead of what else a system is started for.
var rebootUnits = map[string]string{
	"reboots-watch.service": `[Unit]
DefaultDependencies=no
After=local-fs.target
RequiresMountsFor=/home/rrs /home/ann /var/lib /var/log /var/cache /var/spool /var/tmp
Conflicts=shutdown.target
Before=shutdown.target
[Service]
ExecStart=/bin/bash ` + rebootsPath + ` watch
`,
	"reboots-look.service": `[Unit]
DefaultDependencies=no
After=sysinit.target dbus.socket
[Service]
ExecStart=/bin/bash ` + rebootsPath + ` look
`,
	rebootsTarget: `[Unit]
Requires=sysinit.target dbus.socket
Wants=reboots-watch.service reboots-look.service
`,
}

const (
	rebootsTarget = "reboots.target"
	rebootsPath   = "/usr/local/lib/immutray-test/reboots.sh"
)

// prepareReboots installs the package and what looks at the boots, and enables the seal.
func prepareReboots(t *testing.T, v *vm) {
	t.Helper()
	install(t, v)
	write := func(path, text string) {
		_, err := v.as(root).runWith(strings.NewReader(text), "mkdir -p $(dirname "+path+") && cat >"+path)
		check(t, err)
	}
	write(rebootsPath, rebootsScript)
	for name, text := range rebootUnits {
		write("/etc/systemd/system/"+name, text)
	}
	must(t, v.as(root), "systemctl enable "+sealUnit)
}

// A bootReport is what reboots.sh found in one boot.
type bootReport struct {
	seal          string // active state and result of the unit
	early, failed []string
	status, left  helper.Status // as it came up, as it was left
	written       []string      // the protected paths that could be written to
	trouble       []string      // frozen islands, errors
	halfway       string        // the mount flags at which a change was stopped
	ended         bool
}

func parseReport(notes string) (r bootReport, err error) {
	for _, line := range strings.Split(strings.ReplaceAll(notes, "\r", ""), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "":
		case "seal":
			r.seal = rest
		case "early":
			r.early = append(r.early, rest)
		case "failed":
			r.failed = append(r.failed, rest)
		case "state":
			err = errors.Join(err, json.Unmarshal([]byte(rest), &r.status))
		case "left":
			err = errors.Join(err, json.Unmarshal([]byte(rest), &r.left))
		case "written":
			r.written = append(r.written, rest)
		case "halfway":
			r.halfway = rest
		case "end":
			r.ended = true
		default:
			r.trouble = append(r.trouble, line)
		}
	}
	return r, err
}

// bootOnce switches the machine on, waits until it is off again, and returns the report.
// A change that stops in the middle ends with a power cut.
func bootOnce(t *testing.T, v *vm, words ...string) bootReport {
	t.Helper()
	before := len(notes(t, v))
	check(t, v.start(append([]string{"systemd.unit=" + rebootsTarget}, words...)...))
	var report bootReport
	err := waitFor("the machine to look at the seal and to go off", bootTime, func() error {
		on := v.isOn()
		var err error
		if report, err = parseReport(notes(t, v)[before:]); err == nil && (!on || report.halfway != "") {
			return nil
		}
		return fmt.Errorf("it is on (%v), and says %+v: %w", on, report, err)
	})
	check(t, err)
	v.cutPower()
	return report
}

func notes(t *testing.T, v *vm) string {
	t.Helper()
	text, err := os.ReadFile(v.notesFile())
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
	"systemd-journal-flush.service", "keyboard-setup.service",
	"immutability-unseal.service", "reboots-watch.service",
}

// expectSealed fails unless the seal did its work at this boot, and did it early.
func (r bootReport) expectSealed(t *testing.T) {
	t.Helper()
	if r.status.State != helper.Locked || r.seal != "active success" || len(r.written) > 0 {
		t.Errorf("the system came up %s, %q could be written to, and the seal ended with %q: %+v", r.status.State, r.written, r.seal, r.status.Paths)
	}
	for _, unit := range r.early {
		if !slices.ContainsFunc(mayBeEarly, func(known string) bool { return strings.HasPrefix(unit, known) }) {
			t.Errorf("%s was started before the seal was done", unit)
		}
	}
}

// expectGood fails when the boot did not go as it was asked to.
func (r bootReport) expectGood(t *testing.T, left helper.State) {
	t.Helper()
	if len(r.failed) > 0 || len(r.trouble) > 0 || !r.ended || r.left.State != left {
		t.Errorf("units failed: %q; trouble: %q; ended: %v; left %s, want %s", r.failed, r.trouble, r.ended, r.left.State, left)
	}
}

func TestSeal(t *testing.T) { onEverySuite(t, seal) }

// Whatever the state it was left in, and however it was switched off, a boot seals the
// system, unless the kernel's command line has the word rw.
func seal(t *testing.T, suite string) {
	v := newMachine(t, suite)
	check(t, v.boot(textMode))
	prepareReboots(t, v)
	expectState(t, v, helper.Unlocked)
	check(t, v.shutDown())

	boots := append(wordRW(), leftUnlocked()...)
	if suite == everything {
		boots = append(powerCuts(), boots...)
	} else {
		boots = boots[:4]
	}
	for _, boot := range boots {
		ok := t.Run(boot.name, func(t *testing.T) {
			r := bootOnce(t, v, strings.Fields(boot.words)...)
			boot.expect(t, r)
			t.Logf("services before the seal: %q", r.early)
		})
		if !ok {
			return
		}
	}
}

// A bootCase is a boot with words for reboots.sh and the kernel. It finds the system as
// the case before left it; the first finds it unlocked.
type bootCase struct {
	name, words string
	expect      func(*testing.T, bootReport)
}

// sealed expects that the system came up locked, and was left so.
func sealed(left helper.State) func(*testing.T, bootReport) {
	return func(t *testing.T, r bootReport) {
		r.expectSealed(t)
		r.expectGood(t, left)
	}
}

// leftUnlocked are ten boots in a row.
func leftUnlocked() []bootCase {
	cases := make([]bootCase, 10)
	for i := range cases {
		cases[i] = bootCase{fmt.Sprintf("left unlocked %d", i+1), "leave=unlocked", sealed(helper.Unlocked)}
	}
	// Words that are not rw.
	for i, word := range []string{"rw=1", "foo=rw", "rootflags=subvol=/ROOTVOL,rw"} {
		last := &cases[len(cases)-1-i]
		last.name += ", " + word
		last.words += " " + word
	}
	return cases
}

func wordRW() []bootCase {
	return []bootCase{
		{"left unlocked, before rw", "leave=locked", sealed(helper.Locked)},
		{"left locked, rw", "rw", func(t *testing.T, r bootReport) {
			if r.seal != "inactive exec-condition" || r.status.State != helper.Unlocked || len(r.written) != 2 {
				t.Errorf("the seal is %q, and the system %s, want it skipped and unlocked", r.seal, r.status.State)
			}
			if w := r.status.Window; w == nil || w.User != root {
				t.Errorf("the window is %+v, want it root's", w)
			}
			r.expectGood(t, helper.Unlocked)
		}},
	}
}

// powerCuts leave the system as the cut in the seal leaves it: locked in part.
func powerCuts() []bootCase {
	// cut expects a boot that was sealed and ended with a power cut in the middle of a
	// change, with these mount flags on / and /etc.
	cut := func(flags string) func(*testing.T, bootReport) {
		return func(t *testing.T, r bootReport) {
			r.expectSealed(t)
			if r.halfway != flags || len(r.failed) > 0 || len(r.trouble) > 0 {
				t.Errorf("stopped in the middle at %q, want %q; units failed: %q; trouble: %q", r.halfway, flags, r.failed, r.trouble)
			}
		}
	}
	return []bootCase{
		{"left unlocked, power cut in a lock", "leave=unlocked cut=lock", cut("ro rw")},
		{"after that, power cut in an unlock", "cut=unlock", cut("rw ro")},
		{"after that", "leave=unlocked prepare=cut", sealed(helper.Unlocked)},
		{"power cut in the seal", "cut=seal", func(t *testing.T, r bootReport) {
			if r.halfway != "ro rw" || r.seal != "" || len(r.trouble) > 0 {
				t.Errorf("want a seal that was stopped in the middle: %+v", r)
			}
		}},
	}
}

// property returns a property of a unit.
func property(t *testing.T, v *vm, unit, name string) string {
	t.Helper()
	return strings.TrimSpace(must(t, v.as(root), "systemctl show --value --property="+name+" "+unit))
}
