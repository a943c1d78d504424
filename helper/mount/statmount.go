package mount

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper/kernel"
)

// What statmount(2) is asked for, STATMOUNT_* in linux/mount.h. All of it is there since
// Linux 6.8, the first with this system call.
const (
	wantSuperblock = 0x01
	wantMount      = 0x02
	wantRoot       = 0x08
	wantPoint      = 0x10
	wantFilesystem = 0x20
	wantAll        = wantSuperblock | wantMount | wantRoot | wantPoint | wantFilesystem
)

// superblockReadOnly is SB_RDONLY in linux/fs.h.
const superblockReadOnly = 1

// statmountAnswer is struct statmount, linux/mount.h, with room for the strings.
type statmountAnswer struct {
	_            uint32
	_            uint32
	mask         uint64
	major, minor uint32
	_            uint64
	superFlags   uint32
	filesystem   uint32 // where in strings it begins, as root and point
	_            uint64
	uniqueParent uint64
	id, parent   uint32 // as in mountinfo
	attributes   uint64
	_            [4]uint64
	root, point  uint32
	_            [50]uint64
	strings      [stringsSize]byte
}

// stringsSize has room for two paths and the name of a file system. To a mount point that is
// longer the kernel answers EOVERFLOW.
const stringsSize = 2*unix.PathMax + 256

// statmount asks for a mount by its unique id. It asks no file system, and takes the lock
// alone that readers of mountinfo take as well (namespace_sem in fs/namespace.c).
func statmount(id uint64) (Summary, error) {
	answer := new(statmountAnswer)
	if err := answer.ask(id, wantAll); err != nil {
		return Summary{}, err
	}
	return answer.summary()
}

func (a *statmountAnswer) ask(id, mask uint64) error {
	if err := kernel.StatMount(kernel.MountRequest{MountID: id, Param: mask}, a); err != nil {
		return fmt.Errorf("statmount: %w", err)
	}
	return nil
}

// rootMount is LSMT_ROOT, linux/mount.h.
const rootMount = ^uint64(0)

// listmount fills ids with the unique ids of mounts of the caller's namespace that come after
// one, 0 for the first, in their order, and returns how many.
func listmount(after uint64, ids []uint64) (int, error) {
	n, err := kernel.ListMount(kernel.MountRequest{MountID: rootMount, Param: after}, ids)
	if err != nil {
		return 0, fmt.Errorf("listmount: %w", err)
	}
	return n, nil
}

// errOutOfSight says that no path leads to a mount; mountinfo does not have it either.
var errOutOfSight = errors.New("statmount: no path leads there")

func (a *statmountAnswer) summary() (Summary, error) {
	s := Summary{
		ID:            uint64(a.id),
		Parent:        uint64(a.parent),
		Device:        fmt.Sprintf("%d:%d", a.major, a.minor),
		Root:          a.text(a.root),
		Point:         a.text(a.point),
		Filesystem:    a.text(a.filesystem),
		readOnly:      a.attributes&unix.MOUNT_ATTR_RDONLY != 0,
		superReadOnly: a.superFlags&superblockReadOnly != 0,
		uniqueParent:  a.uniqueParent,
	}
	switch {
	case a.mask&wantPoint == 0 || s.Point == "":
		return Summary{}, errOutOfSight
	case a.mask&wantAll != wantAll || s.Root == "" || s.Filesystem == "":
		return Summary{}, errors.New("statmount: the answer is incomplete")
	case strings.HasPrefix(s.Filesystem, "fuse"):
		// In mountinfo a name of the program follows, which statmount(2) does not have in Linux 6.8.
		return Summary{}, errors.New("statmount: the type of the file system is incomplete")
	}
	return s, nil
}

func (a *statmountAnswer) text(at uint32) string {
	if int64(at) >= int64(len(a.strings)) {
		return ""
	}
	text, _, _ := bytes.Cut(a.strings[at:], []byte{0})
	return string(text)
}
