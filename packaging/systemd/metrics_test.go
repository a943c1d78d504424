package systemd

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

func TestMetricsAreWrittenEveryMinute(t *testing.T) {
	lab.Require(t, "systemd-analyze:systemd")
	timer := read(t, "immutray-metrics.timer")
	for name, want := range map[string][]string{
		"OnUnitActiveSec": {"1min"},
		"WantedBy":        {"timers.target"},
		"Unit":            nil, // the service of its name
	} {
		if got := values(timer, name); !slices.Equal(got, want) {
			t.Errorf("immutray-metrics.timer: %s=%q, want %q", name, got, want)
		}
	}
	if got := values(read(t, metrics), "WantedBy"); got != nil {
		t.Errorf("%s: WantedBy=%q, want none: the timer starts it", metrics, got)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", "./immutray-metrics.timer").CombinedOutput(); strings.Contains(string(out), "immutray-metrics.timer") {
		t.Errorf("%v: %s", err, out)
	}
}
