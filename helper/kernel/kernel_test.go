package kernel

import (
	"errors"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The numbers are those of linux/mount.h.
func TestMountRequestMatchesTheKernelHeader(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"MNT_ID_REQ_SIZE_VER0", Size[MountRequest](), 24},
		{"mnt_id_req.mnt_id", unsafe.Offsetof(MountRequest{}.MountID), 8},
		{"mnt_id_req.param", unsafe.Offsetof(MountRequest{}.Param), 16},
	} {
		if c.got != c.want {
			t.Errorf("%s = %d, want %d", c.name, c.got, c.want)
		}
	}
}

// The kernel must not write behind the argument, whatever the number says.
func TestIoctlRefusesAnArgumentThatIsTooSmall(t *testing.T) {
	const eightBytes = 2<<30 | 8<<16 | 0x94<<8 | 25
	var small uint32
	if err := Ioctl(-1, eightBytes, &small); !errors.Is(err, unix.EINVAL) {
		t.Errorf("with four bytes: %v, want EINVAL", err)
	}
	var enough uint64
	if err := Ioctl(-1, eightBytes, &enough); !errors.Is(err, unix.EBADF) {
		t.Errorf("with eight bytes: %v, want EBADF", err)
	}
}
