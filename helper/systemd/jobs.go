package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// An End is how the run of a unit has ended.
type End struct {
	Result string // systemd's word: done, failed, canceled, timeout, dependency, skipped
	// Merged says of a failure that the run had begun before this start was asked for.
	Merged bool
	// Status is the exit status of the process of a failed run, -1 where it is not known.
	Status int
}

// Start starts a unit and waits until its job is removed, which for a oneshot unit is when
// its process has ended.
func (m Manager) Start(ctx context.Context, unit string) (End, error) {
	asked, err := monotonicNow()
	if err != nil {
		return End{}, err
	}
	var e End
	err = m.talk(ctx, func(ctx context.Context, c *conn) error {
		result, err := c.runJob(ctx, systemdManager+".StartUnit", unit, "replace")
		if e = (End{Result: result, Status: -1}); err == nil && result == "failed" {
			e = failure(ctx, c, unit, uint64(asked.Microseconds()))
		}
		return err
	})
	return e, err
}

// monotonicNow returns the time of CLOCK_MONOTONIC, which systemd's timestamps have.
func monotonicNow() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, fmt.Errorf("cannot read the clock: %w", err)
	}
	return time.Duration(now.Nano()), nil
}

// failure describes the run that has failed, after it was asked for at a time in
// microseconds of CLOCK_MONOTONIC. What cannot be learned of it is left out.
func failure(ctx context.Context, c *conn, unit string, asked uint64) End {
	e := End{Result: "failed", Status: -1}
	var path dbus.ObjectPath
	if c.call(ctx, systemdPath, systemdManager+".GetUnit", []any{unit}, &path) != nil {
		return e
	}
	var service map[string]dbus.Variant
	if c.call(ctx, path, properties+".GetAll", []any{systemdService}, &service) != nil {
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

// runJob calls a method that begins a job and waits until the job is removed. It returns the
// job's result.
func (c *conn) runJob(ctx context.Context, method string, args ...any) (string, error) {
	// Before the start: the job may be gone before the reply arrives.
	signals := make(chan *dbus.Signal, 16)
	c.Signal(signals)
	if err := c.subscribe(ctx); err != nil {
		return "", err
	}
	var job dbus.ObjectPath
	if err := c.call(ctx, systemdPath, method, args, &job); err != nil {
		return "", err
	}
	return waitForJob(ctx, signals, job)
}

// subscribe has systemd send the ends of jobs, and the bus pass on those that systemd has
// sent. On a direct connection systemd sends them in any case (bus_foreach_bus in its
// dbus.c).
func (c *conn) subscribe(ctx context.Context) error {
	if !c.overBus {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := c.AddMatchSignalContext(limited,
		dbus.WithMatchSender(systemdName),
		dbus.WithMatchObjectPath(systemdPath),
		dbus.WithMatchInterface(systemdManager),
		dbus.WithMatchMember("JobRemoved"),
	); err != nil {
		return noAnswer(ctx, err)
	}
	return c.call(ctx, systemdPath, systemdManager+".Subscribe", nil)
}

// waitForJob returns the result of a job. Other jobs are removed meanwhile.
func waitForJob(ctx context.Context, signals <-chan *dbus.Signal, job dbus.ObjectPath) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case s, ok := <-signals:
			if !ok {
				return "", noAnswer(ctx, errors.New("the connection to systemd broke off"))
			}
			var id uint32
			var path dbus.ObjectPath
			var unit, result string
			if dbus.Store(s.Body, &id, &path, &unit, &result) == nil && path == job {
				return result, nil
			}
		}
	}
}
