package server

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

// Who asks may hang in execve(2) while we ask who that is.
func TestReadLinkDoesNotWaitForAProcessThatHangs(t *testing.T) {
	if got, err := readLink("/proc/self/exe"); err != nil || got == "" {
		t.Errorf("readLink of our own = %q, %v", got, err)
	}
	_, pids := lab.HangInExec(t, lab.Dir(t), 1)
	if _, err := readLink("/proc/" + strconv.Itoa(pids[0]) + "/exe"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("readLink of one that hangs = %v", err)
	}
}
