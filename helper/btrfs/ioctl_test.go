package btrfs

import (
	"testing"
	"unsafe"
)

// The numbers are what the C macros of linux/btrfs.h expand to, printed by a C
// program on x86-64.
func TestRequestsMatchTheKernelHeader(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"BTRFS_IOC_SUBVOL_GETFLAGS", getFlagsRequest, 0x80089419},
		{"BTRFS_IOC_SUBVOL_SETFLAGS", setFlagsRequest, 0x4008941a},
		{"BTRFS_IOC_GET_SUBVOL_INFO", subvolInfoRequest, 0x81f8943c},
		{"sizeof(struct btrfs_ioctl_get_subvol_info_args)", unsafe.Sizeof(subvolInfo{}), 504},
		{"sizeof(struct btrfs_ioctl_timespec)", unsafe.Sizeof(timespec{}), 16},
		{"BTRFS_IOC_SET_RECEIVED_SUBVOL", receivedRequest, 0xc0c89425},
		{"sizeof(struct btrfs_ioctl_received_subvol_args)", unsafe.Sizeof(receivedSubvol{}), 200},
		{"BTRFS_IOC_SEND", sendRequest, 0x40489426},
		{"sizeof(struct btrfs_ioctl_send_args)", unsafe.Sizeof(sendArgs{}), 72},
		{"BTRFS_IOC_FS_INFO", fsInfoRequest, 0x8400941f},
		{"BTRFS_IOC_DEV_INFO", devInfoRequest, 0xd000941e},
		{"sizeof(struct btrfs_ioctl_dev_info_args)", unsafe.Sizeof(devInfo{}), 4096},
		{"BTRFS_IOC_SPACE_INFO", spaceRequest, 0xc0109414},
		{"sizeof(struct btrfs_ioctl_space_info)", unsafe.Sizeof(space{}), 24},
		{"BTRFS_IOC_GET_SUBVOL_ROOTREF", rootRefsRequest, 0xd000943d},
		{"BTRFS_IOC_INO_LOOKUP_USER", inoLookupRequest, 0xd000943e},
		{"sizeof(struct btrfs_ioctl_fs_info_args)", unsafe.Sizeof(fsInfo{}), 1024},
		{"sizeof(struct btrfs_ioctl_get_subvol_rootref_args)", unsafe.Sizeof(rootRefs{}), 4096},
		{"sizeof(struct btrfs_ioctl_ino_lookup_user_args)", unsafe.Sizeof(inoLookup{}), 4096},
	} {
		if c.got != c.want {
			t.Errorf("%s = %#x, want %#x", c.name, c.got, c.want)
		}
	}
}

func TestWithChangesOneBit(t *testing.T) {
	const others Flags = 1<<0 | 1<<2 | 1<<40
	if got := others.With(true); got != others|ReadOnly {
		t.Errorf("With(true) = %#x, want %#x", got, others|ReadOnly)
	}
	if got := (others | ReadOnly).With(false); got != others {
		t.Errorf("With(false) = %#x, want %#x", got, others)
	}
}
