package engine

import (
	"bufio"
	"fmt"
	"os"
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
	if pid := holder(turn); pid != 0 && hasFlock(pid, turn) {
		stopped.End(pid)
	}
	// The name says whose the place is (line.enter).
	if words := strings.Split(l.first(), "."); len(words) == 4 {
		if pid, err := strconv.Atoi(words[2]); err == nil && pid != os.Getpid() {
			stopped.End(pid)
		}
	}
}

// holderWidth is that of a process id in the file: it is written over in place, which needs
// no room on a file system that is full.
const holderWidth = 10

// noteHolder writes into the file of the turn whose it is. Without that nobody can tell who
// is stopped.
func noteHolder(turn *os.File) {
	_, _ = turn.WriteAt(fmt.Appendf(nil, "%*d", holderWidth, os.Getpid()), 0)
}

// holder returns who has the turn, or had it last; 0 when it is not known, or this process.
func holder(turn *os.File) int {
	text := make([]byte, holderWidth)
	n, _ := turn.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil || pid <= 0 || pid == os.Getpid() {
		return 0
	}
	return pid
}

// hasFlock reports whether a process has a flock on a file of that inode number: /proc/locks
// has the number, and on btrfs another device than stat(2) tells (proc_locks(5)). It looks
// into no process: anybody can have a lock on a file of that number, and files open that
// make everyone wait who looks at them.
func hasFlock(pid int, file *os.File) bool {
	var st unix.Stat_t
	if unix.Fstat(int(file.Fd()), &st) != nil {
		return false
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return false
	}
	defer locks.Close()
	inode := ":" + strconv.FormatUint(st.Ino, 10)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// "1: FLOCK  ADVISORY  WRITE 1234 00:2d:257 0 EOF"; who waits has an arrow before
		// the second word.
		words := strings.Fields(lines.Text())
		if len(words) > 5 && words[1] == "FLOCK" && words[4] == strconv.Itoa(pid) && strings.HasSuffix(words[5], inode) {
			return true
		}
	}
	return false
}
