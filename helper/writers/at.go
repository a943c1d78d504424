package writers

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Everything in /proc is read relative to a descriptor of the process's directory:
// that one goes on meaning this process, and fails with ESRCH, when the process has
// ended and its PID belongs to another.

func openAt(dir int, name string, flags int) (int, error) {
	fd := -1
	err := ignoringEINTR(func() (err error) {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// readAt reads the start of a file, as much as buf takes.
func readAt(dir int, name string, buf []byte) ([]byte, error) {
	fd, err := openAt(dir, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n := 0
	err = ignoringEINTR(func() (err error) {
		n, err = unix.Read(fd, buf)
		return err
	})
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: name, Err: err}
	}
	return buf[:n], nil
}

func readLinkAt(dir int, name string, buf []byte) (string, error) {
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

func namesAt(dir int, name string) (all []string, err error) {
	err = eachName(dir, name, func(names []string) error {
		all = append(all, names...)
		return nil
	})
	return all, err
}

// eachName calls each for the names in a directory, some at a time: a process can have a
// million descriptors. It ends early with an error of each.
func eachName(dir int, name string, each func(some []string) error) error {
	fd, err := openAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	for {
		names, err := f.Readdirnames(1000)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(names); err != nil {
			return err
		}
	}
}

// gone reports whether an error of reading /proc only says that the process, thread,
// descriptor or mapping is no more.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
