// Package nofollow opens paths part by part, and follows no symbolic link. openat2(2) could
// do it at once, but systemd's RestrictSUIDSGID= takes it away from our units.
package nofollow

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ErrLink is the error for a symbolic link.
var ErrLink = errors.New("it is a symbolic link, or below one")

// OpenAt opens one part of a path in the directory dir. The error of a symbolic link is
// ErrLink, every other one that of openat(2).
func OpenAt(dir int, part string, flags int) (int, error) {
	fd, err := unix.Openat(dir, part, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	// With O_PATH and O_DIRECTORY a link is only "not a directory" (open(2)).
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) && isLink(dir, part) {
		return -1, ErrLink
	}
	return fd, err
}

func isLink(dir int, part string) bool {
	var st unix.Stat_t
	err := unix.Fstatat(dir, part, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}
