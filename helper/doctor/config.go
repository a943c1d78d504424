package doctor

import "immutray.org/helper"

// checkConfig judges that the file of the configuration is used. One that is accepted is
// nothing to tell of.
func checkConfig(f Facts) []Finding {
	if f.ConfigError == "" {
		return nil
	}
	return []Finding{{Severity: Problem, Check: "configuration",
		What: f.ConfigError + helper.UsedInstead,
		Why:  `the system can still be locked, but only root can unlock it, with "immutectl unlock --ignore-config"`,
	}}
}
