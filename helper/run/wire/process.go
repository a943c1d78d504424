package wire

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A Process identifies a process. After it has ended, its id may become that of another
// process, which has started at another time.
type Process struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // in ticks since boot
}

// ProcessOf returns the process that has the id now.
func ProcessOf(pid int) *Process { return &Process{PID: pid, Started: startOf(pid)} }

// Watch returns a channel that is closed when p has ended, even if no parent has waited for
// it. stop ends the watch.
func (p Process) Watch() (ended <-chan struct{}, stop func(), err error) {
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

// IsStopped reports whether a process is stopped.
func IsStopped(pid int) bool {
	fields := stat(pid)
	return len(fields) > 0 && fields[0] == "T"
}

// startOf returns when a process started, "" when it is gone.
func startOf(pid int) string {
	const start = 19 // of the fields behind the name
	if fields := stat(pid); len(fields) > start {
		return fields[start]
	}
	return ""
}

// stat returns the fields of proc_pid_stat(5) behind the name, which is in parentheses:
// the state is the first of them.
func stat(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
}
