package machine

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

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
	fallAsleep(t, v)
	check(t, v.screen.wakeUp())
	expectState(t, v, helper.Locked)
	expectEnd(t, v, "sleep")

	all := must(t, v.as(root), "journalctl --boot --no-pager --output=cat MESSAGE_ID="+outcome+" + MESSAGE_ID="+sleepBegins+" + _TRANSPORT=kernel")
	const unlocked, locked = "\nunlock for root: done", "lock for relock_on sleep: done, the system is locked"
	said := all[strings.LastIndex(all, unlocked)+1:]
	at := strings.Index(said, locked)
	for _, sleep := range []string{"Performing sleep operation", "PM: suspend entry"} {
		if asleep := strings.Index(said, sleep); at < 0 || asleep < at {
			t.Errorf("the journal does not have %q, and then %q:\n%s", locked, sleep, said)
		}
	}
}
