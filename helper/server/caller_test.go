package server

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

// The caller may hang in execve(2) while the helper asks who that is.
func TestReadLinkDoesNotWaitForAProcessThatHangs(t *testing.T) {
	if got, err := readLink("/proc/self/exe"); err != nil || got == "" {
		t.Errorf("readLink of our own = %q, %v", got, err)
	}
	_, pids := lab.HangInExec(t, lab.Dir(t), 1)
	if _, err := readLink("/proc/" + strconv.Itoa(pids[0]) + "/exe"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("readLink of one that hangs = %v", err)
	}
}

// A variable that is empty is set: then pkexec has not said who asks.
func TestCaller(t *testing.T) {
	for value, want := range map[string]uint32{"0": 0, "1000": 1000, "4294967294": 4294967294} {
		t.Setenv("PKEXEC_UID", value)
		if got, err := callerUID(pkexecUID()); got != want || err != nil {
			t.Errorf("callerUID(%s) = %d, %v", value, got, err)
		}
	}
	for _, value := range []string{"", "x", "-1", "4294967295", "4294967296"} {
		t.Setenv("PKEXEC_UID", value)
		if got, err := callerUID(pkexecUID()); err == nil {
			t.Errorf("callerUID(%q) = %d", value, got)
		}
	}
	os.Unsetenv("PKEXEC_UID")
	if got, err := callerUID(pkexecUID()); got != 0 || err != nil {
		t.Errorf("callerUID() without pkexec = %d, %v", got, err)
	}
}
