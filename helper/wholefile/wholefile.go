// Package wholefile replaces files atomically.
package wholefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Write replaces the file at path: a reader sees the old content or the new. The file
// is readable by everyone, whatever the umask is. On failure the old one stays.
func Write(path string, data []byte) error {
	return write(path, data, everyone, nothingElse)
}

// WritePrivately is Write for a file that only its owner may read.
func WritePrivately(path string, data []byte) error {
	return write(path, data, owner, nothingElse)
}

// WriteForUser is Write for a file that root and one user may read. It belongs to root: the
// owner of a file may change its mode, and then write to it, as much as the file system holds.
func WriteForUser(path string, data []byte, uid uint32) error {
	return write(path, data, owner, func(f *os.File) error {
		return os.NewSyscallError("fsetxattr", unix.Fsetxattr(int(f.Fd()), "system.posix_acl_access", readableBy(uid), 0))
	})
}

// readableBy returns the access control list of acl(5) "u::rw,u:UID:r,g::-,m::r,o::-", as
// include/uapi/linux/posix_acl_xattr.h has it.
func readableBy(uid uint32) []byte {
	const version, noID = 2, ^uint32(0)
	const ofOwner, ofUser, ofGroup, mask, ofOthers = 0x01, 0x02, 0x04, 0x10, 0x20
	acl := binary.LittleEndian.AppendUint32(nil, version)
	for _, entry := range []struct {
		tag, may uint16
		id       uint32
	}{{ofOwner, 6, noID}, {ofUser, 4, uid}, {ofGroup, 0, noID}, {mask, 4, noID}, {ofOthers, 0, noID}} {
		acl = binary.LittleEndian.AppendUint16(acl, entry.tag)
		acl = binary.LittleEndian.AppendUint16(acl, entry.may)
		acl = binary.LittleEndian.AppendUint32(acl, entry.id)
	}
	return acl
}

// Modes of files.
const (
	everyone = 0o644 // may read it
	owner    = 0o600
)

func nothingElse(*os.File) error { return nil }

// WriteWithRoom is Write for a file that has to be written even when there is no room left
// on its file system: then the old file is overwritten, which has had that many bytes for
// itself since it was written. A reader may then see half of either.
func WriteWithRoom(path string, data []byte, room int) error {
	err := write(path, data, everyone, func(f *os.File) error {
		// Without that room the next one may fail; this one is good.
		_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, int64(room))
		return nil
	})
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		if overwrite(path, data) == nil {
			return nil
		}
	}
	return err
}

// overwrite writes over a file that has room for the data.
func overwrite(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// It fails with nothing changed.
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, int64(len(data))); err != nil {
		return err
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	// To cut it off would give the room away.
	info, err := f.Stat()
	if err == nil && info.Size() > int64(len(data)) {
		_, err = f.WriteAt(bytes.Repeat([]byte{'\n'}, int(info.Size())-len(data)), int64(len(data)))
	}
	return err
}

// WriteDurably is Write for a file that has to be there after a power cut: the new content
// is on the disk before it gets the name (rename(2) promises no order).
func WriteDurably(path string, data []byte) error {
	if err := write(path, data, everyone, (*os.File).Sync); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func write(path string, data []byte, mode os.FileMode, finish func(*os.File) error) error {
	// In the same directory, or the rename would be a copy. The name does not end like
	// the file's, so that readers of all files with such an ending leave it alone.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := finish(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
