package doctor

import (
	"immutray.org/helper"
)

// Relock is an occasion that the configuration names, and the unit which it takes.
type Relock struct {
	On      helper.Occasion
	Unit    string
	Enabled bool
}

// relock looks whether what relock_on names can happen. The applet handles the screen lock;
// no unit is needed for it.
func (g *gatherer) relock() {
	units := map[helper.Occasion]string{helper.Sleep: "immutray-sleep.service", helper.Logout: "immutray-logout.path"}
	for _, on := range g.Config.RelockOn {
		if unit, ok := units[on]; ok {
			g.Facts.Relock = append(g.Facts.Relock, Relock{On: on, Unit: unit, Enabled: g.enabled(unit)})
		}
	}
}

func checkRelock(f Facts) []Finding {
	var findings []Finding
	for _, r := range f.Relock {
		finding := Finding{
			Severity: OK, Check: "relock",
			What: "locking on " + string(r.On) + " is enabled",
			Why:  "relock_on names it",
		}
		if !r.Enabled {
			finding = Finding{
				Severity: Warning, Check: "relock",
				What: "locking on " + string(r.On) + " is not enabled",
				Why:  "relock_on names it, and without " + r.Unit + " nothing locks the system then",
				Mend: []string{"systemctl enable --now " + r.Unit},
			}
			if r.On == helper.Sleep {
				finding.Mend = []string{"systemctl enable " + r.Unit} // now would be a lock
			}
		}
		findings = append(findings, finding)
	}
	return findings
}
