// Package stopped ends those of Immutray's processes that are stopped: a stopped process does
// not do its work, and keeps others from what it holds.
package stopped

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// End kills a process if it is stopped or its cgroup is frozen, and reports whether it has.
func End(pid int) bool {
	if pid <= 0 || !is(pid) {
		return false
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return is(pid) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
}

func is(pid int) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, _ := os.ReadFile(filepath.Join(proc, "status"))
	if strings.Contains(string(status), "\nState:\tT") { // proc_pid_status(5)
		return true
	}
	cgroup, _ := os.ReadFile(filepath.Join(proc, "cgroup"))
	_, path, ok := strings.Cut(strings.TrimSpace(string(cgroup)), "0::/") // cgroups(7), version 2
	if !ok {
		return false
	}
	events, _ := os.ReadFile(filepath.Join("/sys/fs/cgroup", path, "cgroup.events"))
	return strings.Contains(string(events), "frozen 1")
}
