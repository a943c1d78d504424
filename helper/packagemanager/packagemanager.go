// Package packagemanager finds out whether a package manager is running, by asking which
// process holds its lock. It never takes the lock itself.
package packagemanager

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// A lock is a file by which a package manager keeps others out while it works.
type lock struct {
	manager string
	path    string
	kind    kind
}

// A kind is how a lock is held.
type kind int

const (
	// record is a write lock of fcntl(2). A read lock does not count: rpm takes one for every
	// query, and every user can take one, because the file is readable.
	record kind = iota
	// openFile is a file that exists as long as its maker has it open for writing. One that
	// was killed leaves it behind.
	openFile
	// pidFile is the number of a running process in the file.
	pidFile
)

// locks lists the locks in the order in which they are taken: dpkg holds lock for a moment, its
// front ends hold lock-frontend for the whole run. Only root may open the files for writing, so
// only root can hold them.
func locks() []lock {
	return []lock{
		// Mode 0640, F_WRLCK on all of it: file_lock in dpkg's lib/dpkg/file.c, GetLock in
		// apt's apt-pkg/contrib/fileutl.cc.
		{manager: "dpkg", path: "/var/lib/dpkg/lock-frontend"},
		{manager: "dpkg", path: "/var/lib/dpkg/lock"},
		// Mode 0660 less the umask, F_WRLCK from before the transaction to after it:
		// Locker in dnf5's libdnf5/utils/locker.cpp. In dnf 4 rpm's lock is all there is.
		{manager: "dnf", path: "/run/dnf/rpmtransaction.lock"},
		// Mode 0644. zypper calls rpm package by package, and has no lock of rpm's in
		// between: ZyppContextLock in libzypp's zypp/zypp_detail/ZyppLock.cc.
		{manager: "zypp", path: "/run/zypp.pid", kind: pidFile},
		{manager: "zypp", path: "/run/zypp-rpm.pid", kind: pidFile},
		// Mode 0644, F_WRLCK to change the database and F_RDLCK to read it, up to rpm 6
		// and whatever the database is made of: rpmlock_acquire in rpm's lib/rpmlock.cc.
		{manager: "rpm", path: "/usr/lib/sysimage/rpm/.rpm.lock"},
		{manager: "rpm", path: "/var/lib/rpm/.rpm.lock"},
		// Mode 0000, O_WRONLY and O_EXCL, closed and removed in the end: _alpm_handle_lock
		// and alpm_unlock in pacman's lib/libalpm/handle.c.
		{manager: "pacman", path: "/var/lib/pacman/db.lck", kind: openFile},
	}
}

// Running returns the process that holds a package manager's lock, nil if none does.
func Running() (*helper.Busy, error) {
	for _, l := range locks() {
		pid, held, err := l.holder()
		if err != nil {
			return nil, fmt.Errorf("cannot tell whether %s is running: %w", l.manager, err)
		}
		if held {
			return &helper.Busy{Manager: l.manager, Lock: l.path, PID: pid, Program: program(pid)}, nil
		}
	}
	return nil, nil
}

// LeftBehind returns the lock files of package managers that were killed. They do not keep the
// system from being locked, but that package manager from running.
func LeftBehind() []string {
	var left []string
	for _, l := range locks() {
		if _, err := os.Lstat(l.path); l.kind != openFile || err != nil {
			continue
		}
		if _, held, err := l.holder(); err == nil && !held {
			left = append(left, l.path)
		}
	}
	return left
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
	switch l.kind {
	case openFile:
		return 0, isOpenForWriting(f), nil
	case pidFile:
		pid, held = runner(f)
		return pid, held, nil
	}
	// F_RDLCK conflicts only with write locks. F_OFD_GETLK finds those of both kinds. It returns
	// the process of a traditional one, -1 for one of an open file description, and 0 for a
	// process outside the PID namespace (fcntl(2), locks_translate_pid in fs/locks.c).
	asked := unix.Flock_t{Type: unix.F_RDLCK, Whence: unix.SEEK_SET}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &asked); err != nil {
		return 0, false, &fs.PathError{Op: "F_OFD_GETLK", Path: l.path, Err: err}
	}
	if asked.Type == unix.F_UNLCK {
		return 0, false, nil
	}
	return max(int(asked.Pid), 0), true, nil
}

// isOpenForWriting reports whether a process has a file open for writing: then the kernel gives
// no lease for reading (F_SETLEASE in fcntl(2), check_conflicting_open in fs/locks.c). On a file
// system without leases it always reports true.
func isOpenForWriting(f *os.File) bool {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		return true
	}
	_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK) // closing it would do
	return false
}

// runner returns the process whose number is in a file, if root runs it: once root's process
// was killed, another user's may get its number.
func runner(f io.Reader) (pid int, running bool) {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return 0, false
	}
	// The directory belongs to the effective user (task_dump_owner in fs/proc/base.c).
	var st unix.Stat_t
	if unix.Stat(filepath.Join("/proc", strconv.Itoa(pid)), &st) != nil || st.Uid != 0 {
		return 0, false
	}
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil || bytes.Contains(status, []byte("\nState:\tZ")) {
		return 0, false
	}
	return pid, true
}

// program returns what the process calls itself, "" if that is not known. Asking for its
// executable would have us wait for a process that hangs.
func program(pid int) string {
	if pid == 0 {
		return ""
	}
	comm, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	return strings.TrimSuffix(string(comm), "\n")
}
