package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

// windowLength is how long the windows of these tests are open.
const windowLength = 2 * time.Minute

// Windows that end by themselves, whatever happens to the clock and to the machine.
func TestTimedWindows(t *testing.T) {
	t.Parallel()
	v := newInstalled(t, everything)
	startWriter(t, v)
	for _, step := range []step{
		{"the clock is set", clockIsSet},
		{"asleep at the end", asleepAtTheEnd},
		{"locked before it sleeps", lockedBeforeSleep},
		{"islands were writable all the time", expectWriter},
		{"nothing failed", expectNothingFailed},
		{"a new user", newUser},
		{"a disk is plugged in", diskIsPluggedIn},
		{"services that the boot has started", servicesWriteAfterUnlock},
		{"a person is frozen", personIsFrozen},
		{"soft reboots", softReboot},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, v) }) {
			return
		}
	}
}

// openWindow unlocks for [windowLength].
func openWindow(t *testing.T, v *vm) {
	t.Helper()
	must(t, v.as(root), fmt.Sprintf("immutectl lock && immutectl unlock --for %dm", windowLength/time.Minute))
	expectState(t, v, helper.Unlocked)
}

// Set forward or back by a day, the clock neither ends a window nor keeps it open.
func clockIsSet(t *testing.T, v *vm) {
	openWindow(t, v)
	for _, by := range []string{"+1day", "-2days", "+1day"} {
		must(t, v.as(root), "date --set="+by)
		expectState(t, v, helper.Unlocked)
	}
	expectClosed(t, v, windowLength)
}

// The window ends also while the machine sleeps; it is locked as soon as it is awake.
func asleepAtTheEnd(t *testing.T, v *vm) {
	openWindow(t, v)
	opened := time.Now()
	suspend(v)
	check(t, waitFor("the machine to sleep", bootTime, func() error {
		asleep, err := v.screen.asleep()
		if err == nil && !asleep {
			err = errors.New("it is awake")
		}
		return err
	}))
	// The time that is asleep is what this is about.
	time.Sleep(time.Until(opened.Add(windowLength)))
	check(t, v.screen.wakeUp())
	// The clock of the journal stands still meanwhile.
	expectClosed(t, v, 0)
}

// expectClosed waits until a timer has closed the window, and fails if that was too
// early, or later than the machine's slowness explains. The time is the journal's monotonic
// one, which can't be set and which stands still in a sleep.
func expectClosed(t *testing.T, v *vm, after time.Duration) {
	t.Helper()
	check(t, v.waitForState(helper.Locked, bootTime))
	expectState(t, v, helper.Locked)
	const late = time.Minute
	// The timer runs from the beginning of the unlock, which may take a while here.
	opened, closed := lastRecord(t, v, intent, "about to unlock "), lastRecord(t, v, outcome, "lock for ")
	if open := closed - opened; open < after-time.Second || open > after+late {
		t.Errorf("the window was open for %v, want %v", open, after)
	}
	if got := must(t, v.as(root), "systemctl list-units --no-legend --plain 'immutray-relock@*'"); got != "" {
		t.Errorf("after the end there is still %s", got)
	}
}

// lastRecord returns when the last change of a kind was begun or done, by the monotonic
// clock.
func lastRecord(t *testing.T, v *vm, id, words string) (at time.Duration) {
	t.Helper()
	out := must(t, v.as(root), "journalctl --sync; journalctl --boot --no-pager --output=json MESSAGE_ID="+id)
	for line := range strings.Lines(out) {
		var r struct {
			Message string `json:"MESSAGE"`
			At      string `json:"__MONOTONIC_TIMESTAMP"`
		}
		check(t, json.Unmarshal([]byte(line), &r))
		if strings.HasPrefix(r.Message, words) && (id == intent || strings.Contains(r.Message, ": done")) {
			microseconds, err := strconv.ParseInt(r.At, 10, 64)
			check(t, err)
			at = time.Duration(microseconds) * time.Microsecond
		}
	}
	if at == 0 {
		t.Fatalf("the journal has no record that begins with %q:\n%s", words, out)
	}
	return at
}
