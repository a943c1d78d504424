package namespaces

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// Unit returns the unit of the system's systemd that a task belongs to, "" where there is
// none. It is the outermost one of its control group: who is allowed to make groups of his
// own below, a user's systemd or a container's, calls them what he likes.
//
// For this and for what the program calls itself the kernel does not wait for the process
// (proc_cgroup_show in kernel/cgroup/cgroup.c, comm_show in fs/proc/base.c).
func Unit(task int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(task) + "/cgroup")
	if err != nil {
		return ""
	}
	return outermostUnit(data)
}

// outermostUnit reads cgroups(7): systemd's own hierarchies are 0 (version 2) and
// name=systemd (version 1).
func outermostUnit(data []byte) string {
	for line := range bytes.Lines(data) {
		fields := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		if len(fields) != 3 || fields[1] != "name=systemd" && (fields[0] != "0" || fields[1] != "") {
			continue
		}
		for part := range strings.SplitSeq(fields[2], "/") {
			if strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope") {
				return strings.TrimPrefix(part, "_") // cg_escape in systemd's src/basic/cgroup-util.c
			}
		}
	}
	return ""
}

// Program returns what a task calls itself, at most 15 bytes.
func Program(task int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(task) + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(data), "\n")
}
