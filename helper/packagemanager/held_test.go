package packagemanager

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

func TestIsListed(t *testing.T) {
	const text = `1: POSIX  ADVISORY  WRITE 1234 00:2d:257 0 EOF
2: OFDLCK ADVISORY  WRITE -1 00:2d:300 0 EOF
3: FLOCK  ADVISORY  READ 1234 fe:01:258 0 EOF
3: -> FLOCK  ADVISORY  WRITE 99 fe:01:258 0 EOF
garbage
4: POSIX ADVISORY WRITE
`
	for _, test := range []struct {
		inode uint64
		pid   int
		want  bool
	}{
		{257, 1234, true},
		{257, 0, true},
		{257, 123, false},
		{57, 1234, false},
		{300, 0, true},
		{258, 1234, false},
		{258, 99, false},
		{4711, 0, false},
	} {
		if got := isListed(strings.NewReader(text), test.inode, test.pid); got != test.want {
			t.Errorf("isListed(%d, %d) = %t, want %t", test.inode, test.pid, got, test.want)
		}
	}
}

// The kernel's own list, on the file system of the test.
func TestIsHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := helper.Busy{Manager: "dpkg", Lock: path, PID: os.Getpid()}
	if StillRuns(h) {
		t.Error("StillRuns() of a file that nobody has locked")
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err != nil {
		t.Fatal(err)
	}
	if !StillRuns(h) {
		t.Error("StillRuns() of a file that this process has locked = false")
	}
	if other := (helper.Busy{Lock: path, PID: 1}); StillRuns(other) {
		t.Error("StillRuns() by another process")
	}
	f.Close()
	if StillRuns(h) {
		t.Error("StillRuns() after the lock was given up")
	}
	if gone := (helper.Busy{Lock: path + "x"}); StillRuns(gone) {
		t.Error("StillRuns() of a file that is not there")
	}
}
