package systemd

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

const (
	systemdName    = "org.freedesktop.systemd1"
	systemdPath    = dbus.ObjectPath("/org/freedesktop/systemd1")
	systemdManager = "org.freedesktop.systemd1.Manager"
	systemdService = "org.freedesktop.systemd1.Service"
	properties     = "org.freedesktop.DBus.Properties"
)

// An End is how the run of a unit ended.
type End struct {
	Result string // systemd's word: done, failed, canceled, timeout, dependency, skipped
	// Merged says of a failure that it is that of a run which had begun before we asked.
	Merged bool
	// Status is what the process of a failed run exited with, -1 where that is not known.
	Status int
}

// Start starts a unit and waits for its job to be removed, which for a oneshot unit
// is when its process has ended.
func (m Manager) Start(ctx context.Context, unit string) (End, error) {
	asked, err := monotonicNow()
	if err != nil {
		return End{}, err
	}
	var e End
	err = m.talk(ctx, func(ctx context.Context, l *conn) error {
		result, err := l.run(ctx, systemdManager+".StartUnit", unit, "replace")
		if e = (End{Result: result, Status: -1}); err == nil && result == "failed" {
			e = failure(ctx, l, unit, uint64(asked.Microseconds()))
		}
		return err
	})
	return e, err
}

// monotonicNow returns the time of CLOCK_MONOTONIC, by which systemd tells when things
// were.
func monotonicNow() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, fmt.Errorf("cannot read the clock: %w", err)
	}
	return time.Duration(now.Nano()), nil
}

// failure looks at the run that failed, after it was asked for at a time in
// microseconds of CLOCK_MONOTONIC. What can't be learned of it is left out.
func failure(ctx context.Context, l *conn, unit string, asked uint64) End {
	e := End{Result: "failed", Status: -1}
	var path dbus.ObjectPath
	if l.ask(ctx, systemdPath, systemdManager+".GetUnit", []any{unit}, &path) != nil {
		return e
	}
	var service map[string]dbus.Variant
	if l.ask(ctx, path, properties+".GetAll", []any{systemdService}, &service) != nil {
		return e
	}
	began, _ := service["ExecMainStartTimestampMonotonic"].Value().(uint64)
	e.Merged = began != 0 && began < asked
	// For a process that was killed the status is the number of the signal.
	const exited = 1 // CLD_EXITED of waitid(2)
	if code, _ := service["ExecMainCode"].Value().(int32); code == exited {
		status, _ := service["ExecMainStatus"].Value().(int32)
		e.Status = int(status)
	}
	return e
}
