package engine

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/stopped"
)

// stoppedEvery is how often whoever waits for his turn looks whether who has it is stopped.
const stoppedEvery = time.Second

// endStopped ends who has the turn, and who is first in line, if that one is stopped:
// whatever step it was in, the next request completes the work.
func (l line) endStopped(turn *os.File) {
	for _, pid := range holders(turn) {
		stopped.End(pid)
	}
	// The name says whose the place is (line.enter).
	if words := strings.Split(l.first(), "."); len(words) == 4 {
		if pid, err := strconv.Atoi(words[2]); err == nil && pid != os.Getpid() {
			stopped.End(pid)
		}
	}
}

// holders returns who has a flock on a file that is open here, whose file nobody but root
// can open. /proc/locks has the inode and the device (proc_locks(5)), and on btrfs another
// device than stat(2) tells; so the process has to have that file open.
func holders(file *os.File) (pids []int) {
	var want unix.Stat_t
	if unix.Fstat(int(file.Fd()), &want) != nil {
		return nil
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return nil
	}
	defer locks.Close()
	inode := ":" + strconv.FormatUint(want.Ino, 10)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// "1: FLOCK  ADVISORY  WRITE 1234 00:2d:257 0 EOF"; who waits has an arrow before
		// the second word.
		words := strings.Fields(lines.Text())
		if len(words) < 6 || words[1] != "FLOCK" || !strings.HasSuffix(words[5], inode) {
			continue
		}
		if pid, err := strconv.Atoi(words[4]); err == nil && pid != os.Getpid() && hasOpen(pid, want) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func hasOpen(pid int, file unix.Stat_t) bool {
	open, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	for _, name := range open {
		var st unix.Stat_t
		if unix.Stat(name, &st) == nil && st.Dev == file.Dev && st.Ino == file.Ino {
			return true
		}
	}
	return false
}
