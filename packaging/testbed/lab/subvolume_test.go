package lab

import (
	"testing"
	"unsafe"
)

// The number holds the size: _IOW(0x94, 14, struct btrfs_ioctl_vol_args).
func TestRequestMatchesTheKernelHeader(t *testing.T) {
	const want = 4096
	if size, inRequest := unsafe.Sizeof(volArgs{}), uintptr(createRequest>>16&0x3fff); size != want || inRequest != want {
		t.Errorf("struct btrfs_ioctl_vol_args has %d bytes, and %d in the request, want %d", size, inRequest, want)
	}
}
