package packagemanager

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// StillRuns reports whether a process that [Running] returned still has its lock. It needs no
// privileges: only root can open the lock file, but every lock is in /proc/locks
// (proc_locks(5)). If that can't be read, the answer is no.
func StillRuns(h helper.Busy) bool {
	var st unix.Stat_t
	if unix.Lstat(h.Lock, &st) != nil {
		return false
	}
	all := locks()
	if i := slices.IndexFunc(all, func(l lock) bool { return l.path == h.Lock }); i >= 0 && all[i].kind != record {
		_, held, err := all[i].holder()
		return held || errors.Is(err, fs.ErrPermission)
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return false
	}
	defer f.Close()
	return isListed(f, st.Ino, h.PID)
}

// isListed looks for a write lock on an inode in the text of /proc/locks: of the process pid, or
// of any if pid is 0. It ignores the device, which on btrfs is not that of stat(2).
func isListed(locks io.Reader, inode uint64, pid int) bool {
	lines := bufio.NewScanner(locks)
	for lines.Scan() {
		// "1: POSIX  ADVISORY  WRITE 1234 00:2d:257 0 EOF"; a process that waits for the
		// lock has a similar line, with an arrow as its second word.
		words := strings.Fields(lines.Text())
		if len(words) < 6 || words[3] != "WRITE" {
			continue
		}
		file := words[5][strings.LastIndexByte(words[5], ':')+1:]
		if file == strconv.FormatUint(inode, 10) && (pid == 0 || words[4] == strconv.Itoa(pid)) {
			return true
		}
	}
	return false
}
