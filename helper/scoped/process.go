package scoped

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A process is one that another process is told of. When it has ended its id may become
// another's, which has another start.
type process struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // in ticks since boot
}

// watch returns a channel that is closed when p has ended, also if nobody has waited for
// it. stop ends the watch.
func (p process) watch() (ended <-chan struct{}, stop func(), err error) {
	done := make(chan struct{})
	fd, err := unix.PidfdOpen(p.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		close(done)
		return done, func() {}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot watch the command: pidfd_open: %w", err)
	}
	f := os.NewFile(uintptr(fd), "command")
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("cannot watch the command: %w", err)
	}
	go func() {
		defer f.Close()
		// It can be read when the process has ended (pidfd_open(2)).
		hasEnded := func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return err == nil && n > 0 || startOf(p.PID) != p.Started
		}
		if conn.Read(hasEnded) == nil {
			close(done)
		}
	}()
	return done, func() { f.Close() }, nil
}

// startOf returns when a process started, "" when it is gone.
func startOf(pid int) string {
	const start = 19 // of the fields behind the name
	if fields := stat(pid); len(fields) > start {
		return fields[start]
	}
	return ""
}

// stat returns the fields of proc_pid_stat(5) behind the name, which stands in brackets:
// the state is the first of them.
func stat(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
}
