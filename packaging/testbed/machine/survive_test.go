package machine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"immutray.org/helper"
)

// What a person's programs hold open while all of them are frozen, and what they were
// given write access for, is told as it is, and keeps nothing open once they are gone.
func personIsFrozen(t *testing.T, v *vm) {
	const slice = "user-1000.slice"
	const until = "; timeout 60 sh -c 'until %s; do sleep 0.2; done'"
	must(t, v.as(root), "immutectl unlock --until-locked && install --owner="+admin+" --mode=600 /dev/null /opt/his")
	must(t, v.as(admin), "systemd-run --user --quiet --collect --unit=holder sh -c 'exec 3>>/opt/his; touch /tmp/held; exec sleep infinity'"+fmt.Sprintf(until, "test -e /tmp/held"))
	must(t, v.as(root), "systemctl freeze "+slice+"; immutectl unlock --for 10s")
	check(t, waitFor("the record of who blocks the end of the window", bootTime, func() error {
		s, err := v.state()
		switch {
		case err != nil:
			return err
		case s.Overdue == nil:
			return fmt.Errorf("it is %s, with no such record", s.State)
		case s.State == helper.Locked || len(s.Overdue.Writers) != 1 || s.Overdue.Writers[0].Path != "/opt/his" || s.Overdue.Writers[0].User != admin:
			return final{fmt.Errorf("it is %s, on record is %+v", s.State, s.Overdue)}
		}
		return nil
	}))
	must(t, v.as(root), "systemctl thaw "+slice)
	must(t, v.as(admin), "systemctl --user stop holder")
	check(t, v.waitForState(helper.Locked, noteTime))

	const caller = "systemd-run --quiet --slice=" + slice + " --unit=caller --collect immutectl run -- sh -c "
	begun := fmt.Sprintf(until, "grep -q begun /etc/half")
	must(t, v.as(root), caller+"'echo begun >/etc/half; until test -e /run/go; do sleep 0.2; done; echo ended >>/etc/half'"+begun)
	must(t, v.as(root), "systemctl freeze "+slice)
	expectCommand(t, v, "sh")
	must(t, v.as(root), "touch /run/go; systemctl thaw "+slice+fmt.Sprintf(until, "grep -q ended /etc/half"))
	awaitNoCommand(t, v)

	must(t, v.as(root), "rm /run/go; "+caller+"'echo again >/etc/half; exec sleep infinity'"+fmt.Sprintf(until, "grep -q again /etc/half"))
	must(t, v.as(root), "systemctl freeze "+slice)
	expectCommand(t, v, "sleep")
	must(t, v.as(root), "pkill --signal=KILL --exact sleep --cgroup /user.slice/"+slice+"/caller.service")
	awaitNoCommand(t, v)
	must(t, v.as(root), "systemctl thaw "+slice)
}

// expectCommand fails unless the system is locked for all but one command.
func expectCommand(t *testing.T, v *vm, program string) {
	t.Helper()
	s, err := v.state()
	check(t, err)
	if s.State != helper.Locked || len(s.Runs) != 1 {
		t.Errorf("while %s is running it is %s, with the commands %+v", program, s.State, s.Runs)
	}
	if out, err := v.as(root).run("touch /etc/.probe"); err == nil || !strings.Contains(out, "Read-only file system") {
		t.Errorf("while %s is running others can write: %v", program, err)
	}
}

// awaitNoCommand waits until no command has write access.
func awaitNoCommand(t *testing.T, v *vm) {
	t.Helper()
	check(t, waitFor("the end of the command's write access", noteTime, func() error {
		s, err := v.state()
		if err == nil && len(s.Runs) > 0 {
			err = fmt.Errorf("there is %+v", s.Runs)
		}
		return err
	}))
	expectState(t, v, helper.Locked)
}

// A soft reboot ends every program and starts the system again, on the same kernel, with
// the mounts and /run as they were (systemd-soft-reboot.service(8)). A window goes on, and
// ends when it was to end; where the seal is enabled, it seals.
func softReboot(t *testing.T, v *vm) {
	must(t, v.as(root), "immutectl lock && immutectl unlock --for 8m && systemctl disable --quiet "+sealUnit)
	before, err := v.state()
	check(t, err)
	bootSoftly(t, v)
	s, err := v.state()
	check(t, err)
	if s.State != helper.Unlocked || s.Window == nil || s.Window.Until == nil || !s.Window.Until.Equal(*before.Window.Until) {
		t.Errorf("after the soft reboot it is %s, with the window %+v, want %+v", s.State, s.Window, before.Window)
	}
	must(t, v.as(root), "immutectl unlock --for 1m")
	bootSoftly(t, v)
	check(t, v.waitForState(helper.Locked, bootTime))
	expectState(t, v, helper.Locked)

	must(t, v.as(root), "immutectl unlock --for 1h; systemctl enable --quiet "+sealUnit)
	bootSoftly(t, v)
	expectState(t, v, helper.Locked)
	if got := strings.Join([]string{property(t, v, sealUnit, "ActiveState"), property(t, v, sealUnit, "Result")}, " "); got != "active success" {
		t.Errorf("after a soft reboot the seal is %q", got)
	}
	if got := must(t, v.as(root), "systemctl list-units --no-legend --plain 'immutray-relock@*'"); got != "" {
		t.Errorf("after the seal there is still %s", got)
	}
}

// bootSoftly returns when the system has come up again.
func bootSoftly(t *testing.T, v *vm) {
	t.Helper()
	const count = "busctl --json=short get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager SoftRebootsCount"
	before := must(t, v.as(root), count)
	_, _ = v.as(root).run("systemctl soft-reboot") // the connection ends with it
	check(t, waitFor("the soft reboot", bootTime, func() error {
		now, err := v.as(root).run(count)
		if err == nil && now == before {
			err = errors.New("it has not begun")
		}
		return err
	}))
	_, err := v.as(root).runFor(bootTime, nil, "systemctl is-system-running --wait")
	if codeOf(err) < 0 {
		t.Fatal(err)
	}
}
