package lockstate

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// lockThreadAs gives the calling goroutine's thread, and no other, the rights of uid:
// setresuid(2) as a raw system call is per thread.
func lockThreadAs(t *testing.T, uid int) {
	runtime.LockOSThread()
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
		t.Errorf("setresuid: %v", errno)
	}
}
