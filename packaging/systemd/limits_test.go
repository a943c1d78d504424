package systemd

import (
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
)

// A unit is not killed before a request that it has begun has come to its end.
func TestTimeLimits(t *testing.T) {
	for _, unit := range units() {
		got := strings.Join(values(read(t, unit), "TimeoutStartSec"), " ")
		want := helper.UnitLimit
		switch unit {
		case onSleep, metrics, cameUp:
			continue // see TestSleepNeverWaitsForLong; the others change nothing
		case unitOf(helper.Seal), unitOf(helper.Unseal):
			want = helper.BootLimit
		}
		limit, err := time.ParseDuration(strings.TrimSuffix(got, "in")) // 15min
		if err != nil || limit != want {
			t.Errorf("%s: TimeoutStartSec=%q, want %v", unit, got, want)
		}
	}
	if longest := helper.RequestLimit(config.MaxDrain); longest >= helper.UnitLimit {
		t.Errorf("a request takes %v, its unit has %v", longest, helper.UnitLimit)
	}
}
