package machine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

// suspend sends the machine to sleep as its user would. The answer may come before the
// sleep, after it, or never.
func suspend(v *vm) { go v.as(root).run("systemctl suspend") }

// enableSleep has the system locked before the machine sleeps, as the README says.
const enableSleep = `mkdir -p /etc/immutray && echo 'relock_on = ["sleep"]' >/etc/immutray/config.toml
systemctl enable --quiet immutray-sleep.service`

// sleepBegins is systemd's own record, just before the kernel is told to sleep
// (SD_MESSAGE_SLEEP_START in sd-messages.h).
const sleepBegins = "6bbd95ee977941e497c48be27c254128"

// What was left unlocked is locked before the machine sleeps, not when it wakes.
func lockedBeforeSleep(t *testing.T, v *vm) {
	unlock(t, v)
	must(t, v.as(root), enableSleep)
	suspend(v)
	said := untilAwake(t, v)
	expectState(t, v, helper.Locked)
	expectEnd(t, v, "sleep")
	const locked = "lock for relock_on sleep: done, the system is locked"
	at := strings.Index(said, locked)
	for _, sleep := range []string{"Performing sleep operation", "PM: suspend entry"} {
		if asleep := strings.Index(said, sleep); at < 0 || asleep < at {
			t.Errorf("the journal does not have %q, and then %q:\n%s", locked, sleep, said)
		}
	}
}

// untilAwake waits until the machine has slept, wakes it, and returns what the journal has
// of it since the last unlock. A second time QEMU has been seen to wake it at once.
func untilAwake(t *testing.T, v *vm) (said string) {
	t.Helper()
	const records = "journalctl --boot --no-pager --output=cat MESSAGE_ID=" + outcome + " + MESSAGE_ID=" + sleepBegins + " + _TRANSPORT=kernel"
	check(t, waitFor("the machine to sleep and to wake", bootTime, func() error {
		asleep, err := v.screen.asleep()
		if err != nil {
			return err
		}
		if asleep {
			return errors.Join(errors.New("it sleeps"), v.screen.wakeUp())
		}
		// While it sleeps there is no answer.
		all, err := v.as(root).runFor(20*time.Second, nil, records)
		said = all[strings.LastIndex(all, "unlock for root: done")+1:]
		if err == nil && !strings.Contains(said, "PM: suspend exit") {
			err = errors.New("it has not slept")
		}
		return err
	}))
	return said
}
