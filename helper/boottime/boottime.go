// Package boottime reads the clock that also counts the time that the machine sleeps.
package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time of CLOCK_BOOTTIME.
func Now() time.Duration {
	var ts unix.Timespec
	// It fails only for a clock that the kernel does not know (clock_gettime(2)); this one
	// exists since Linux 2.6.39.
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("internal error: cannot read CLOCK_BOOTTIME: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
