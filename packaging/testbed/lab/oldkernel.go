package lab

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// oldKernelVariable makes a test program do without the system calls that [OnOldKernel]
// names.
const oldKernelVariable = "IMMUTRAY_LAB_OLD_KERNEL"

// OnOldKernel runs tests of the same package once more, given as a pattern of go test, where
// statmount(2) and listmount(2) are refused: as on a kernel before 6.8, or by a filter of
// system calls that does not know them.
func OnOldKernel(t *testing.T, tests string) {
	t.Helper()
	if IsOldKernel() {
		t.Skip("this is the old kernel")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", tests, "-test.v")
	cmd.Env = append(os.Environ(), oldKernelVariable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("without statmount(2): %v\n%s", err, out)
	}
}

// IsOldKernel reports whether this is a run of [OnOldKernel].
func IsOldKernel() bool { return os.Getenv(oldKernelVariable) != "" }

// beOldKernel installs a filter of system calls, seccomp(2), on all threads if
// [oldKernelVariable] asks for it.
func beOldKernel() error {
	if !IsOldKernel() {
		return nil
	}
	const (
		setModeFilter  = 1          // SECCOMP_SET_MODE_FILTER
		allThreads     = 1          // SECCOMP_FILTER_FLAG_TSYNC
		answerErrno    = 0x00050000 // SECCOMP_RET_ERRNO
		allow          = 0x7fff0000 // SECCOMP_RET_ALLOW
		loadNumber     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jumpIfEqual    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		returnConstant = unix.BPF_RET | unix.BPF_K
	)
	code := []unix.SockFilter{
		{Code: loadNumber},
		{Code: jumpIfEqual, K: unix.SYS_STATMOUNT, Jt: 2},
		{Code: jumpIfEqual, K: unix.SYS_LISTMOUNT, Jt: 1},
		{Code: returnConstant, K: allow},
		{Code: returnConstant, K: answerErrno | uint32(unix.EPERM)},
	}
	filter := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, allThreads, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return fmt.Errorf("cannot refuse system calls: seccomp: %w", errno)
	}
	return nil
}
