// Package packagemanager tells whether a package manager is at work, by asking who
// holds its lock. The lock itself is never taken.
package packagemanager

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// A lock is a file that a package manager keeps while it works.
type lock struct {
	manager string
	path    string
	// mereFile says that the file's existence is the lock; else it is an fcntl(2) lock
	// on the whole file.
	mereFile bool
}

// locks, in the order they are taken: dpkg holds lock for a moment, its front ends
// hold lock-frontend for the whole run.
func locks() []lock {
	return []lock{
		{manager: "dpkg", path: "/var/lib/dpkg/lock-frontend"},
		{manager: "dpkg", path: "/var/lib/dpkg/lock"},
		{manager: "rpm", path: "/usr/lib/sysimage/rpm/.rpm.lock"},
		{manager: "rpm", path: "/var/lib/rpm/.rpm.lock"},
		{manager: "pacman", path: "/var/lib/pacman/db.lck", mereFile: true},
	}
}

// Holder returns who holds a package manager's lock, nil when nobody does.
func Holder() (*helper.LockHolder, error) {
	for _, l := range locks() {
		pid, held, err := l.holder()
		if err != nil {
			return nil, fmt.Errorf("cannot tell whether %s is at work: %w", l.manager, err)
		}
		if held {
			return &helper.LockHolder{Manager: l.manager, Lock: l.path, PID: pid, Program: program(pid)}, nil
		}
	}
	return nil, nil
}

func (l lock) holder() (pid int, held bool, err error) {
	// Non-blocking, in case something put a FIFO there.
	f, err := os.OpenFile(l.path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	if l.mereFile {
		return 0, true, nil
	}
	// F_OFD_GETLK sees locks of both kinds; for a traditional one it tells the holder,
	// for an open file description's it says -1, and 0 for a process outside the PID
	// namespace (fcntl(2), locks_translate_pid in fs/locks.c).
	asked := unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &asked); err != nil {
		return 0, false, &fs.PathError{Op: "F_OFD_GETLK", Path: l.path, Err: err}
	}
	if asked.Type == unix.F_UNLCK {
		return 0, false, nil
	}
	return max(int(asked.Pid), 0), true, nil
}

// program returns the name of the program that the process runs, "" when it is not
// known.
func program(pid int) string {
	if pid == 0 {
		return ""
	}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	exe, _ := os.Readlink(filepath.Join(dir, "exe")) // "" where it can't be read
	comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
	return nameOf(exe, strings.TrimSuffix(string(comm), "\n"))
}

// nameOf returns the name of a program from the path of what is executed and from the
// name of the process, either of which may be missing.
func nameOf(exe, comm string) string {
	if exe == "" {
		return comm
	}
	name := strings.TrimSuffix(filepath.Base(exe), " (deleted)")
	switch strings.TrimRight(name, "0123456789.") {
	case "python", "perl", "ruby", "sh", "bash", "dash":
		// A script is known by its own name.
		return cmp.Or(comm, name)
	}
	return name
}
