package notify

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBootClockAfter(t *testing.T) {
	c := NewBootClock()
	for _, d := range []time.Duration{-time.Hour, 0, 1, 5 * time.Millisecond} {
		before := c.Now()
		fired, stop := c.After(d)
		at := <-fired
		if passed := at.Sub(before); passed < d || passed < 0 {
			t.Errorf("After(%v) fired after %v", d, passed)
		}
		stop()
		stop()
	}
	checkNoGoroutines(t)
}

func TestBootClockStop(t *testing.T) {
	c := NewBootClock()
	fired, stop := c.After(time.Hour)
	stop()
	select {
	case at := <-fired:
		t.Errorf("fired at %v although stopped", at)
	default:
	}
	stop()
	checkNoGoroutines(t)
}

func TestBootClockNowIsTheTimeOfDayAtFirst(t *testing.T) {
	before := time.Now()
	now := NewBootClock().Now()
	after := time.Now()
	if now.Before(before.Add(-time.Millisecond)) || now.After(after.Add(time.Millisecond)) {
		t.Errorf("Now() = %v between %v and %v", now, before, after)
	}
	// With Go's monotonic reading, Sub would leave the time asleep out.
	if strings.Contains(now.String(), "m=") {
		t.Errorf("Now() = %v carries a monotonic reading", now)
	}
}

// The kernel is asked which clock the timer follows: no test can put the machine
// to sleep.
func TestBootTimerCountsSleep(t *testing.T) {
	f, err := bootTimer(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info []byte
	if err := raw.Control(func(fd uintptr) {
		info, err = os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("clockid: %d\n", unix.CLOCK_BOOTTIME); !strings.Contains(string(info), want) {
		t.Errorf("the timer's fdinfo is\n%swant %s", info, want)
	}
}

func TestBootClockOutOfDescriptors(t *testing.T) {
	c := NewBootClock()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 0, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, err := bootTimer(time.Hour)
	fired, stop := c.After(time.Millisecond)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.EMFILE) {
		t.Errorf("bootTimer() = %v, want EMFILE", err)
	}
	<-fired
	stop()
	stop()
}
