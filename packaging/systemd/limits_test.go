package systemd

import (
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

// systemd does not kill a unit in the middle of a request as long as its process reports. It
// kills a process that is stopped, and the request is tried again within a minute.
func TestTimeLimits(t *testing.T) {
	for _, unit := range units(t) {
		got := strings.Join(values(read(t, unit), "TimeoutStartSec"), " ")
		want := helper.UnitSilence
		switch unit {
		case onSleep, metrics, cameUp, inhibit:
			continue // see TestSleepNeverWaitsForLong; the others change nothing
		case unitOf(helper.Seal), unitOf(helper.Unseal):
			want = helper.BootTimeout
		default:
			if access := strings.Join(values(read(t, unit), "NotifyAccess"), " "); access != "main" {
				t.Errorf("%s: NotifyAccess=%q, want main", unit, access)
			}
		}
		limit, err := time.ParseDuration(strings.TrimSuffix(got, "in")) // 3min
		if err != nil || limit != want {
			t.Errorf("%s: TimeoutStartSec=%q, want %v", unit, got, want)
		}
	}
	if longest := helper.RequestTimeout(helper.MaxDrain); longest >= helper.UnitTimeout {
		t.Errorf("a request takes %v, its unit has %v", longest, helper.UnitTimeout)
	}
}
