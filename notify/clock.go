package notify

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/boottime"
)

// A Clock measures time as it passes for the person, the machine's sleep included.
type Clock interface {
	// Now returns an instant. Two of them differ by the time that passed between
	// them, whatever the time of day was set to meanwhile.
	Now() time.Time
	// After returns a channel that gets one value once d has passed. A time that
	// passed while the machine slept counts: the value comes at wake-up. Stop
	// releases the timer; it must be called, more than once does no harm.
	After(d time.Duration) (c <-chan time.Time, stop func())
}

// A BootClock is the Clock of a running system. It reads CLOCK_BOOTTIME, because
// Go's own timers follow CLOCK_MONOTONIC, which stands still while the machine
// sleeps: a reminder due in 15 minutes would come a night late.
type BootClock struct {
	wall time.Time
	boot time.Duration
}

// NewBootClock returns a clock whose Now is the time of day at this moment, and
// goes on from there by the time that passes.
func NewBootClock() *BootClock {
	// Round(0) strips Go's monotonic reading: Sub would prefer it, and miss sleep.
	return &BootClock{wall: time.Now().Round(0), boot: boottime.Now()}
}

// Now implements Clock.
func (c *BootClock) Now() time.Time { return c.wall.Add(boottime.Now() - c.boot) }

// After implements Clock.
func (c *BootClock) After(d time.Duration) (<-chan time.Time, func()) {
	f, err := bootTimer(d)
	if err != nil {
		// Out of descriptors, most likely. A timer that is late by the time
		// asleep is better than none.
		t := time.NewTimer(d)
		return t.C, func() { t.Stop() }
	}
	fired := make(chan time.Time, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer f.Close()
		var expirations [8]byte
		if _, err := f.Read(expirations[:]); err == nil {
			fired <- c.Now()
		}
	}()
	return fired, func() {
		f.Close() // ends the Read; the error of a second Close says nothing
		<-ended
	}
}

// bootTimer returns a timerfd that becomes readable once d has passed. It is
// non-blocking, so that os.File waits in Go's poller instead of in a thread, and
// Close ends a Read.
func bootTimer(d time.Duration) (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	// A value of 0 disarms the timer (timerfd_settime(2)).
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	if err := unix.TimerfdSettime(fd, 0, &spec, nil); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("timerfd_settime", err)
	}
	return os.NewFile(uintptr(fd), "timerfd"), nil
}
