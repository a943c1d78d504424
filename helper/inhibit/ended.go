package inhibit

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// endOf returns a channel that is closed as soon as a process has ended: a shutdown right
// afterwards, as in "apt upgrade && reboot", must not be refused. For a process that is not
// known, or cannot be watched, it is never closed.
func endOf(pid int) (ended <-chan struct{}, stop func()) {
	if pid <= 0 {
		return nil, func() {}
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, func() {}
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("process %d", pid))
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, func() {}
	}
	done := make(chan struct{})
	go func() {
		// It can be read when the process has ended (pidfd_open(2)).
		hasEnded := func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return err == nil && n > 0
		}
		if conn.Read(hasEnded) == nil {
			close(done)
		}
	}()
	return done, func() { f.Close() }
}
