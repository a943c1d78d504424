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
		if unit == onSleep || unit == metrics {
			continue // see TestSleepNeverWaitsForLong
		}
		limit, err := time.ParseDuration(strings.TrimSuffix(got, "in")) // 15min
		if err != nil || limit != helper.UnitLimit {
			t.Errorf("%s: TimeoutStartSec=%q, want %v", unit, got, helper.UnitLimit)
		}
	}
	if longest := helper.RequestLimit(config.MaxDrain); longest >= helper.UnitLimit {
		t.Errorf("a request takes %v, its unit has %v", longest, helper.UnitLimit)
	}
}
