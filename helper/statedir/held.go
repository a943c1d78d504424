package statedir

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A held file is locked by the process that has made it, until that has closed it or ended:
// so what a dead process has left behind is never taken for that of a living one.
//
// The lock is a write lock of fcntl(2) on the open file description, which takes a
// descriptor that can write: a user who may only read the file can neither hold it nor
// pretend to.

// draftPrefix is that of files in Replace that have no name of their own yet.
const draftPrefix = "."

// IsDraft reports whether a name in a folder is that of a file which is being replaced.
func IsDraft(name string) bool { return name[:1] == draftPrefix }

// Hold adds a held file. It is seen only when it is complete and held. If there is a file of
// that name already, the error is [os.ErrExist].
func (f Folder) Hold(name string, data []byte) (*os.File, error) {
	return f.hold(name, data, link)
}

// HoldInstead is Hold for a name that another file may have, which is replaced.
func (f Folder) HoldInstead(name string, data []byte) (*os.File, error) {
	return f.hold(name, data, func(fd int, path string) error {
		draft := filepath.Join(f.Path, draftPrefix+name)
		_ = os.Remove(draft) // of a process that was killed; if it can't be removed, the next step fails
		if err := link(fd, draft); err != nil {
			return err
		}
		return os.Rename(draft, path)
	})
}

func (f Folder) hold(name string, data []byte, give func(fd int, path string) error) (*os.File, error) {
	fd, err := unix.Open(f.Path, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.Path, Err: err}
	}
	path := filepath.Join(f.Path, name)
	file := os.NewFile(uintptr(fd), path)
	err = os.NewSyscallError("fcntl", unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}))
	if err == nil && len(data) > 0 {
		_, err = file.Write(data)
	}
	if err == nil {
		err = file.Chmod(f.files)
	}
	if err == nil {
		err = give(fd, path)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func link(fd int, path string) error {
	if err := unix.Linkat(fd, "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "link", Path: path, Err: err}
	}
	return nil
}

// Open opens a file that may be held, and reports whether it is.
func Open(path string) (file *os.File, held bool, err error) {
	file, err = os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, false, err
	}
	// What conflicts with a read lock is a write lock, and no other.
	asked := unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &asked); err != nil {
		file.Close()
		return nil, false, &os.PathError{Op: "F_OFD_GETLK", Path: path, Err: err}
	}
	return file, asked.Type != unix.F_UNLCK, nil
}

// Use says that this process works on the files of a folder, as others may do at the same
// time, until done is called or the process has ended.
func (f Folder) Use() (done func(), err error) {
	dir, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	// A directory can't be opened for writing, and so not be held.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_SH); err != nil {
		dir.Close()
		return nil, os.NewSyscallError("flock", err)
	}
	return func() { dir.Close() }, nil
}

// IsUsed reports whether a process works on the files of a folder.
func (f Folder) IsUsed() bool {
	dir, err := os.Open(f.Path)
	if err != nil {
		return false
	}
	defer dir.Close()
	return errors.Is(unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}
