package machine

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

// A few moments are among those of [TestRun].
const fewMoments = 3

// The machine is asked to go off and to sleep at as many random moments of installations as
// IMMUTRAY_POWER_MOMENTS says: 50 take a quarter of an hour.
func TestPowerMoments(t *testing.T) {
	text := os.Getenv("IMMUTRAY_POWER_MOMENTS")
	if text == "" {
		t.Skip("IMMUTRAY_POWER_MOMENTS is not set; TestRun has a few of them")
	}
	moments, err := strconv.Atoi(text)
	check(t, err)
	v := newInstalled(t, everything)
	atTheDesk(t, v)
	must(t, v.as(root), addRepository)
	lock(t, v)
	const some = "at uuid-runtime avahi-daemon rtkit"
	begun := time.Now()
	apt(t, v, "install --no-install-recommends "+some)
	within, dice := time.Since(begun), newDice(t)
	for asked := 0; asked < moments; {
		n := min(perInstallation, moments-asked)
		installAsked(t, v, "--reinstall "+some, dice, within, n)
		asked += n
		t.Logf("%d of %d moments within %v, and dpkg is whole", asked, moments, within)
	}
	asUsual(t, v)
}

// perInstallation is how many of these moments one installation has.
const perInstallation = 10

// listInhibitors names those who have the machine wait.
const listInhibitors = "busctl --system call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ListInhibitors"

// login1 is a call of logind, as the power menu of a desktop makes it.
const login1 = "busctl --system --timeout=100 call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager "

// A powerRequest has the machine go off or sleep.
type powerRequest struct {
	who, command string
	passes       bool // over the inhibitor: the machine sleeps at once, as when its lid is closed
}

// powerRequests are the ways to ask that there are on a desktop. Root's are refused as
// well since systemd 257 (verify_shutdown_creds in logind-dbus.c).
var powerRequests = []powerRequest{
	{who: admin, command: login1 + "PowerOff b true"},
	{who: admin, command: login1 + "Suspend b true"},
	{who: admin, command: login1 + "Reboot b true"},
	{who: admin, command: "systemctl poweroff"},
	{who: admin, command: "systemctl suspend"},
	{who: root, command: "systemctl poweroff"},
	{who: root, command: "systemctl suspend --check-inhibitors=no", passes: true},
}

// deskRules let the administrator at the desk decide although the tests are logged in as root.
// And they let root ignore inhibitors, as the lid does: since systemd 257, logind asks polkit
// even for root (POLKIT_ALWAYS_QUERY in logind-dbus.c), and no agent could ask for a password.
const deskRules = `cat >/etc/polkit-1/rules.d/10-desk.rules <<'RULES'
polkit.addRule(function(action, subject) {
	if (/^org\.freedesktop\.login1\.[a-z-]+-multiple-sessions$/.test(action.id) && subject.active) return "yes";
	if (action.id == "org.freedesktop.login1.suspend-ignore-inhibit" && subject.user == "root") return "yes";
});
RULES
chmod 644 /etc/polkit-1/rules.d/10-desk.rules`

// atTheDesk is who may switch the machine off, before it is locked.
func atTheDesk(t *testing.T, v *vm) {
	t.Helper()
	must(t, v.as(root), deskRules)
	sit(t, v, admin, "tty1")
}

// installAsked has apt-get install packages in a command of its own, and at that many random
// moments meanwhile asks the machine to go off or to sleep. apt-get does not end before the
// last of them: else the machine would do so.
func installAsked(t *testing.T, v *vm, packages string, dice *rand.Rand, within time.Duration, moments int) {
	t.Helper()
	const asking = "/run/asking"
	must(t, v.as(root), "touch "+asking)
	begun := time.Now()
	installed := make(chan error, 1)
	go func() {
		out, err := runApt(v, "install --no-install-recommends -o 'DPkg::Post-Invoke::=while test -e "+asking+"; do sleep 0.2; done' "+packages)
		t.Log(out)
		installed <- err
	}()
	for i := range moments {
		// One in each part of the time.
		part := within / time.Duration(moments)
		moment := part*time.Duration(i) + time.Duration(dice.Int64N(int64(part)))
		time.Sleep(time.Until(begun.Add(moment)))
		// From here on it is running, and the inhibitor is held.
		check(t, waitTrying(time.Second/4, "the command to begin", bootTime, func() error {
			_, err := v.as(root).run("grep --quiet --recursive apt-get /run/immutray/runs")
			return err
		}))
		ask(t, v, powerRequests[dice.IntN(len(powerRequests))], dice)
	}
	must(t, v.as(root), "rm "+asking)
	check(t, <-installed)
	expectWhole(t, v)
}

// newDice returns what decides when the machine is asked, and for what.
func newDice(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// ask asks once, and fails unless the machine goes on.
func ask(t *testing.T, v *vm, r powerRequest, dice *rand.Rand) {
	t.Helper()
	doing, _ := v.as(root).run("tail --quiet --lines=1 /var/log/dpkg.log")
	if r.passes {
		sleepAndWake(t, v, r.command, time.Duration(dice.Int64N(int64(5*time.Second))))
		t.Logf("%s slept by %q, dpkg was at: %s", r.who, r.command, strings.TrimSpace(doing))
		return
	}
	command := r.command
	if r.who != root {
		command = byManager(command)
	}
	var out string
	var err error
	check(t, waitFor("an answer of logind", bootTime, func() error {
		// polkit may be too slow for systemctl.
		if out, err = v.as(r.who).run(command); strings.Contains(out, "timed out") {
			return err
		}
		return nil
	}))
	t.Logf("%s asked by %q, dpkg was at: %s", r.who, r.command, strings.TrimSpace(doing))
	// systemctl has only the error's number (EACCES), where it does not look by itself.
	if codeOf(err) <= 0 || !strings.Contains(out, "block inhibitor") && !strings.Contains(out, "Access denied") {
		t.Errorf("%s asked by %q, and that ended with %v: want it refused for an inhibitor", r.who, r.command, err)
	}
	if list := must(t, v.as(root), listInhibitors); !strings.Contains(list, `"\"apt-get\" is changing the operating system"`) {
		t.Errorf("meanwhile these have it wait: %s", list)
	}
}

// sleepAndWake sends the machine to sleep, and wakes it after a time.
func sleepAndWake(t *testing.T, v *vm, command string, after time.Duration) {
	t.Helper()
	const slept = "cat /sys/power/suspend_stats/success"
	before := must(t, v.as(root), slept)
	go v.as(root).runFor(20*time.Second, nil, command) // the answer may never come
	check(t, waitFor("the machine to sleep and to wake", bootTime, func() error {
		asleep, err := v.screen.asleep()
		if err != nil {
			return err
		}
		if asleep {
			time.Sleep(after)
			return errors.Join(errors.New("it sleeps"), v.screen.wakeUp())
		}
		// While it sleeps there is no answer.
		now, err := v.as(root).runFor(20*time.Second, nil, slept)
		if err == nil && now == before {
			err = errors.New("it has not slept")
		}
		return err
	}))
}

// However often the machine is asked to go off or to sleep in the middle of an installation,
// and also if it does sleep, dpkg is whole afterwards and the system locked.
func installWhileAsked(t *testing.T, v *vm) {
	installAsked(t, v, allPackages(), newDice(t), time.Minute, fewMoments)
	for _, p := range realPackages {
		must(t, v.as(root), p.leaves)
		if p.unit != "" {
			if got, _ := v.as(root).run("systemctl is-enabled " + p.unit); strings.TrimSpace(got) != p.enabled {
				t.Errorf("after installing %s its unit %s is %q, want %q", p.name, p.unit, got, p.enabled)
			}
		}
	}
}

// asUsual makes the machine go off for the same person, without an installation. It is the
// last step.
func asUsual(t *testing.T, v *vm) {
	if list := must(t, v.as(root), "immutectl run -- true && "+listInhibitors); strings.Contains(list, "Immutray") {
		t.Errorf("the machine waits after the command: %s", list)
	}
	expectState(t, v, helper.Locked)
	go v.as(admin).run(byManager(login1 + "PowerOff b true")) // the answer may never come
	select {
	case <-v.ended:
	case <-time.After(offTime):
		t.Errorf("without an installation the machine does not go off when %s asks it to", admin)
	}
}
