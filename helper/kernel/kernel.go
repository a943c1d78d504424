// Package kernel makes the system calls whose arguments golang.org/x/sys/unix has no types for.
// All of the helper's unsafe code is in it.
package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Size returns the size of a T in bytes, as sizeof does in C.
func Size[T any]() uintptr {
	var none T
	return unsafe.Sizeof(none)
}

// Ioctl calls ioctl(2) with a pointer to the argument, again if a signal has interrupted it.
// The error is the bare errno, or EINVAL if the request's number says that the kernel reads or
// writes more than a T (_IOC_SIZE in asm-generic/ioctl.h).
func Ioctl[T any](fd int, request uintptr, argument *T) error {
	if request>>16&0x3fff > Size[T]() {
		return unix.EINVAL
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(argument)))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// A MountRequest is struct mnt_id_req, linux/mount.h, in its first version.
type MountRequest struct {
	size uint32
	_    uint32
	// MountID is a unique one (STATX_MNT_ID_UNIQUE).
	MountID uint64
	// Param is what statmount(2) is asked for, and behind which mount the list of listmount(2)
	// begins.
	Param uint64
}

// StatMount calls statmount(2), which writes as much as fits into the answer. The error is the
// bare errno.
func StatMount[T any](request MountRequest, answer *T) error {
	request.size = uint32(unsafe.Sizeof(request))
	_, _, errno := unix.Syscall6(unix.SYS_STATMOUNT, uintptr(unsafe.Pointer(&request)),
		uintptr(unsafe.Pointer(answer)), unsafe.Sizeof(*answer), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// ListMount calls listmount(2), which fills ids with unique ids of mounts, and returns how
// many. The error is the bare errno.
func ListMount(request MountRequest, ids []uint64) (int, error) {
	request.size = uint32(unsafe.Sizeof(request))
	n, _, errno := unix.Syscall6(unix.SYS_LISTMOUNT, uintptr(unsafe.Pointer(&request)),
		uintptr(unsafe.Pointer(unsafe.SliceData(ids))), uintptr(len(ids)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
