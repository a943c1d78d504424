package statedir

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Lock is that of the whole state directory: one process at a time has it.
//
// It is one of flock(2), because /proc/locks names the holder of those (proc_locks(5)).
type Lock struct{ file *os.File }

// OpenLock returns the lock, which this process does not have yet.
func (d Dir) OpenLock() (*Lock, error) {
	f, err := os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return &Lock{f}, nil
}

// Close gives the lock up.
func (l *Lock) Close() { l.file.Close() }

// Try takes the lock if no process has it, and reports whether this one has it now.
func (l *Lock) Try() (bool, error) {
	err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		l.note()
		return true, nil
	case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, unix.EINTR):
		return false, nil
	}
	return false, os.NewSyscallError("flock", err)
}

// holderWidth is that of a process id in the file: it is overwritten in place, which needs
// no room on a file system that is full.
const holderWidth = 10

// note writes into the file which process has the lock; otherwise a stopped one could not be
// found.
func (l *Lock) note() {
	_, _ = l.file.WriteAt(fmt.Appendf(nil, "%*d", holderWidth, os.Getpid()), 0)
}

// Holder returns the process that has the lock; 0 if none has it, if that is not known, or
// if it is this process.
func (l *Lock) Holder() int {
	text := make([]byte, holderWidth)
	n, _ := l.file.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil || pid <= 0 || pid == os.Getpid() || !l.isOf(pid) {
		return 0
	}
	return pid
}

// isOf reports whether a process has a flock on a file of the lock's inode number: /proc/locks
// has the number, and on btrfs another device than stat(2) says (proc_locks(5)). It does not
// look into the process: any user can lock a file of that number, and have files open that
// make everyone wait who looks at them.
func (l *Lock) isOf(pid int) bool {
	var st unix.Stat_t
	if unix.Fstat(int(l.file.Fd()), &st) != nil {
		return false
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return false
	}
	defer locks.Close()
	inode := ":" + strconv.FormatUint(st.Ino, 10)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// "1: FLOCK  ADVISORY  WRITE 1234 00:2d:257 0 EOF"; the line of a process that waits
		// has an arrow before the second word.
		words := strings.Fields(lines.Text())
		if len(words) > 5 && words[1] == "FLOCK" && words[4] == strconv.Itoa(pid) && strings.HasSuffix(words[5], inode) {
			return true
		}
	}
	return false
}
