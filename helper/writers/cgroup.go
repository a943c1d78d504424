package writers

import (
	"bytes"
	"strings"
)

// parseUnit returns the innermost systemd unit from /proc/PID/cgroup
// (proc_cgroup_show in kernel/cgroup/cgroup.c), "" when there is none:
//
//	0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo.service
//	1:name=systemd:/system.slice/cron.service
//	(hierarchy):(controllers):(path)
//
// systemd's own hierarchies are number 0 (cgroup v2) and name=systemd (v1); a machine
// may have both. Other hierarchies of v1 may be arranged by someone else.
func parseUnit(data []byte) string {
	for line := range bytes.Lines(data) {
		fields := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		unified := fields[0] == "0" && fields[1] == ""
		if !unified && fields[1] != "name=systemd" {
			continue
		}
		if unit := innermostUnit(fields[2]); unit != "" {
			return unit
		}
	}
	return ""
}

func innermostUnit(path string) string {
	// A process may outlive its cgroup's directory.
	components := strings.Split(strings.TrimSuffix(path, deletedSuffix), "/")
	for i := len(components) - 1; i >= 0; i-- {
		name := components[i]
		if strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".scope") {
			// systemd puts "_" before names that the kernel might take for
			// its own, such as memory.service (cg_escape in
			// src/basic/cgroup-util.c).
			return strings.TrimPrefix(name, "_")
		}
	}
	return ""
}
