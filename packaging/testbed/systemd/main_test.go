// Package systemd tests the units under a real systemd, which is PID 1 of namespaces of its
// own (boot.sh). The checks of the unit files themselves are in packaging/systemd.
package systemd

import (
	"testing"

	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// unitsDir has the units as they are shipped.
const unitsDir = "../../systemd"

const (
	relock   = "immutray-relock@.service" // of the timers that end windows
	onSleep  = "immutray-sleep.service"
	onLogout = "immutray-logout.service"
	metrics  = "immutray-metrics.service"
	inhibit  = "immutray-inhibit.service"
	seal     = "immutability-seal.service"
	unseal   = "immutability-unseal.service"
	cameUp   = "immutray-came-up.service"
)
