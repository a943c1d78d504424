package helper

import (
	"errors"

	"golang.org/x/sys/unix"
)

// LimitOf returns the name of the errno that [Result.Limit] has for err, such as EDQUOT; ""
// if err is not about a limit of the system.
func LimitOf(err error) string {
	for _, errno := range []unix.Errno{unix.EDQUOT, unix.ENOSPC, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, errno) {
			return unix.ErrnoName(errno)
		}
	}
	return ""
}
