package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper/nofollow"
)

// OpenTrusted opens the file at name for reading if only root can have written it: the file and
// every directory above it belong to root, no other user may write there, and none is a
// symbolic link. Each is opened once, relative to the one before, and checked by its
// descriptor. So the file that is read is the one that was checked.
func OpenTrusted(name string) (*os.File, error) {
	if err := checkPath(name); err != nil {
		return nil, err
	}
	if name == "/" {
		return nil, notRegular(name)
	}
	dir, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: "/", Err: err}
	}
	defer func() { unix.Close(dir) }()
	at := "/"
	parts := strings.Split(name[1:], "/")
	for _, part := range parts[:len(parts)-1] {
		if err := checkTrust(dir, at, unix.S_IFDIR); err != nil {
			return nil, err
		}
		at = path.Join(at, part)
		next, err := openAt(dir, part, at, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return nil, err
		}
		unix.Close(dir)
		dir = next
	}
	if err := checkTrust(dir, at, unix.S_IFDIR); err != nil {
		return nil, err
	}
	// Without O_NONBLOCK a FIFO would hold us until someone writes to it.
	fd, err := openAt(dir, parts[len(parts)-1], name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	if err := checkTrust(fd, name, unix.S_IFREG); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openAt opens one part of the path whole.
func openAt(dir int, part, whole string, flags int) (int, error) {
	fd, err := nofollow.OpenAt(dir, part, flags)
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, nofollow.ErrLink):
		return -1, fmt.Errorf("%s is a symbolic link; put the file itself there", whole)
	case errors.Is(err, unix.ENXIO):
		// What open(2) answers for a socket.
		return -1, notRegular(whole)
	}
	return -1, &fs.PathError{Op: "open", Path: whole, Err: err}
}

// checkTrust checks an open file or directory. Permissions of an ACL count too: its mask is in
// the group's bits (acl(5)).
func checkTrust(fd int, name string, kind uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != kind:
		return notRegular(name)
	case st.Uid != 0:
		return fmt.Errorf("%s belongs to user %d, it must belong to root (chown root %s)", name, st.Uid, name)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%s is writable by others than root (chmod go-w %s)", name, name)
	}
	return nil
}

func notRegular(name string) error { return fmt.Errorf("%s is not a regular file", name) }
