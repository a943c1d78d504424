package btrfs

import "immutray.org/helper/kernel"

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
	getFlagsRequest   = request(directionRead, 25, kernel.Size[Flags]())
	setFlagsRequest   = request(directionWrite, 26, kernel.Size[Flags]())
	subvolInfoRequest = request(directionRead, 60, kernel.Size[subvolInfo]())
	receivedRequest   = request(directionRead|directionWrite, 37, kernel.Size[receivedSubvol]())
	sendRequest       = request(directionWrite, 38, kernel.Size[sendArgs]())
	fsInfoRequest     = request(directionRead, 31, kernel.Size[fsInfo]())
	devInfoRequest    = request(directionRead|directionWrite, 30, kernel.Size[devInfo]())
	spaceRequest      = request(directionRead|directionWrite, 20, kernel.Size[spaceHeader]())
	rootRefsRequest   = request(directionRead|directionWrite, 61, kernel.Size[rootRefs]())
	inoLookupRequest  = request(directionRead|directionWrite, 62, kernel.Size[inoLookup]())
)

func getFlags(fd int) (Flags, error) {
	var f Flags
	err := kernel.Ioctl(fd, getFlagsRequest, &f)
	return f, err
}

func setFlags(fd int, f Flags) error {
	return kernel.Ioctl(fd, setFlagsRequest, &f)
}

func getSubvolInfo(fd int, info *subvolInfo) error {
	return kernel.Ioctl(fd, subvolInfoRequest, info)
}

func setReceived(fd int, args *receivedSubvol) error {
	return kernel.Ioctl(fd, receivedRequest, args)
}

func getRootRefs(fd int, args *rootRefs) error {
	return kernel.Ioctl(fd, rootRefsRequest, args)
}

func lookUpInode(fd int, args *inoLookup) error {
	return kernel.Ioctl(fd, inoLookupRequest, args)
}

func getFSInfo(fd int, args *fsInfo) error {
	return kernel.Ioctl(fd, fsInfoRequest, args)
}

func getDevInfo(fd int, args *devInfo) error {
	return kernel.Ioctl(fd, devInfoRequest, args)
}

func getSpaces(fd int, args *spaceArgs) error {
	return kernel.Ioctl(fd, spaceRequest, args)
}
