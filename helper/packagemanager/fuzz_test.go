package packagemanager

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

// A lock that stands in /proc/locks is found whatever stands before and behind it, and
// none is found that is another process's, another file's, or only waited for.
func FuzzIsListed(f *testing.F) {
	const table = "1: POSIX  ADVISORY  WRITE 1234 00:2d:257 0 EOF\n" +
		"2: OFDLCK ADVISORY  WRITE -1 00:2d:300 0 EOF\n" +
		"3: FLOCK  ADVISORY  READ 1234 fe:01:258 0 EOF\n" +
		"3: -> FLOCK  ADVISORY  WRITE 99 fe:01:258 0 EOF\n"
	f.Add(table, table, uint64(257), 1234)
	f.Add(table, "4: POSIX ADVISORY WRITE\n", uint64(300), 0)
	f.Add("5: LEASE ACTIVE READ 1 ::1 0 EOF", "1: -> -> WRITE 7 1", uint64(1), 1)
	f.Fuzz(func(t *testing.T, before, after string, inode uint64, pid int) {
		if len(before) >= bufio.MaxScanTokenSize {
			t.Skip("no line of the kernel's is that long (lock_get_status in fs/locks.c)")
		}
		is := func(text string, pid int) bool { return isListed(strings.NewReader(text), inode, pid) }
		number, holder := strconv.FormatUint(inode, 10), strconv.Itoa(pid)
		line := "7: POSIX  ADVISORY  WRITE " + holder + " 00:2d:" + number + " 0 EOF\n"
		if !is(before+"\n"+line+after, pid) {
			t.Error("a lock in the table is not found")
		}
		waiting := strings.Replace(line, "POSIX", "-> POSIX", 1)
		if is(waiting, pid) || is(strings.Replace(line, "WRITE", "READ", 1), pid) {
			t.Error("who waits or reads is taken for who writes")
		}
		if is(before, pid) && (!is(before, 0) || !strings.Contains(before, number) || pid != 0 && !strings.Contains(before, holder)) {
			t.Errorf("a lock on %d of %d out of nowhere", inode, pid)
		}
	})
}

// What stands in the file of a process's number names a process of root's that runs, or
// nobody.
func FuzzRunner(f *testing.F) {
	for _, text := range []string{"1", "1\n", strconv.Itoa(os.Getpid()), " 17\t", "-1", "+1", "0", "1/../self", "99999999999999999999", "", "0x1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pid, running := runner(strings.NewReader(text))
		switch {
		case !running && pid != 0:
			t.Errorf("runner(%q) = %d, which does not run", text, pid)
		case running && (pid <= 0 || !strings.Contains(text, strconv.Itoa(pid))):
			t.Errorf("runner(%q) = %d", text, pid)
		}
		if pid == os.Getpid() && os.Geteuid() != 0 {
			t.Errorf("runner(%q) takes a user's process for root's", text)
		}
	})
}
