package btrfs

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// x/sys/unix has no function for an ioctl whose argument is a 64-bit word or one of these
// structures, hence unsafe.

// ioctlMagic is BTRFS_IOCTL_MAGIC, linux/btrfs.h.
const ioctlMagic = 0x94

// Direction bits, asm-generic/ioctl.h; x86, arm and riscv share them.
const (
	directionWrite = 1 // from the program to the kernel
	directionRead  = 2
)

// request builds an ioctl number as _IOC does in asm-generic/ioctl.h.
func request(direction, number, size uintptr) uintptr {
	return direction<<30 | size<<16 | ioctlMagic<<8 | number
}

// subvolInfo is struct btrfs_ioctl_get_subvol_info_args, linux/btrfs.h.
type subvolInfo struct {
	TreeID       uint64
	Name         [256]byte
	ParentID     uint64
	DirID        uint64
	Generation   uint64
	Flags        uint64
	UUID         [16]byte
	ParentUUID   [16]byte
	ReceivedUUID [16]byte
	CTransID     uint64
	OTransID     uint64
	STransID     uint64
	RTransID     uint64
	Times        [4]timespec
	Reserved     [8]uint64
}

// receivedSubvol is struct btrfs_ioctl_received_subvol_args, linux/btrfs.h.
type receivedSubvol struct {
	UUID         [16]byte
	STransID     uint64
	RTransID     uint64
	STime, RTime timespec
	Flags        uint64
	Reserved     [16]uint64
}

// sendArgs is struct btrfs_ioctl_send_args.
type sendArgs struct {
	_ int64
	_ [4]uint64
	_ [32]byte
}

// timespec is struct btrfs_ioctl_timespec, linux/btrfs.h.
type timespec struct {
	Sec  uint64
	Nsec uint32
	_    uint32
}

// rootRefs is struct btrfs_ioctl_get_subvol_rootref_args.
type rootRefs struct {
	MinTreeID uint64
	Refs      [255]Nested
	Number    uint8
	_         [7]uint8
}

// inoLookup is struct btrfs_ioctl_ino_lookup_user_args.
type inoLookup struct {
	DirID, TreeID uint64
	Name          [256]byte
	Path          [3824]byte
}

// fsInfo is struct btrfs_ioctl_fs_info_args.
type fsInfo struct {
	MaxID, Devices uint64
	UUID           [16]byte
	_              [992]byte
}

// devInfo is struct btrfs_ioctl_dev_info_args.
type devInfo struct {
	ID          uint64
	UUID        [16]byte
	Used, Total uint64
	_           [379]uint64
	Path        [1024]byte
}

// spaceArgs is struct btrfs_ioctl_space_args with room for what comes after it.
type spaceArgs struct {
	spaceHeader
	Spaces [maxSpaces]space
}

// maxSpaces is more than there are: three kinds and the reserve, each in up to two profiles
// while a balance converts it.
const maxSpaces = 32

type spaceHeader struct{ Slots, Total uint64 }

// space is struct btrfs_ioctl_space_info.
type space struct{ Flags, Total, Used uint64 }

var (
	getFlagsRequest   = request(directionRead, 25, unsafe.Sizeof(Flags(0)))
	setFlagsRequest   = request(directionWrite, 26, unsafe.Sizeof(Flags(0)))
	subvolInfoRequest = request(directionRead, 60, unsafe.Sizeof(subvolInfo{}))
	receivedRequest   = request(directionRead|directionWrite, 37, unsafe.Sizeof(receivedSubvol{}))
	sendRequest       = request(directionWrite, 38, unsafe.Sizeof(sendArgs{}))
	fsInfoRequest     = request(directionRead, 31, unsafe.Sizeof(fsInfo{}))
	devInfoRequest    = request(directionRead|directionWrite, 30, unsafe.Sizeof(devInfo{}))
	spaceRequest      = request(directionRead|directionWrite, 20, unsafe.Sizeof(spaceHeader{}))
	rootRefsRequest   = request(directionRead|directionWrite, 61, unsafe.Sizeof(rootRefs{}))
	inoLookupRequest  = request(directionRead|directionWrite, 62, unsafe.Sizeof(inoLookup{}))
)

func getFlags(fd int) (Flags, error) {
	var f Flags
	err := ioctl(fd, getFlagsRequest, unsafe.Pointer(&f))
	return f, err
}

func setFlags(fd int, f Flags) error {
	return ioctl(fd, setFlagsRequest, unsafe.Pointer(&f))
}

func getSubvolInfo(fd int, info *subvolInfo) error {
	return ioctl(fd, subvolInfoRequest, unsafe.Pointer(info))
}

func setReceived(fd int, args *receivedSubvol) error {
	return ioctl(fd, receivedRequest, unsafe.Pointer(args))
}

func getRootRefs(fd int, args *rootRefs) error {
	return ioctl(fd, rootRefsRequest, unsafe.Pointer(args))
}

func lookUpInode(fd int, args *inoLookup) error {
	return ioctl(fd, inoLookupRequest, unsafe.Pointer(args))
}

func getFSInfo(fd int, args *fsInfo) error {
	return ioctl(fd, fsInfoRequest, unsafe.Pointer(args))
}

func getDevInfo(fd int, args *devInfo) error {
	return ioctl(fd, devInfoRequest, unsafe.Pointer(args))
}

func getSpaces(fd int, args *spaceArgs) error {
	return ioctl(fd, spaceRequest, unsafe.Pointer(args))
}

func ioctl(fd int, request uintptr, argument unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
