package frontdesk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// systemBus is where the system's message bus listens, whatever the environment says.
const systemBus = "unix:path=/run/dbus/system_bus_socket"

const (
	systemdName    = "org.freedesktop.systemd1"
	systemdPath    = dbus.ObjectPath("/org/freedesktop/systemd1")
	systemdManager = "org.freedesktop.systemd1.Manager"
	systemdService = "org.freedesktop.systemd1.Service"
	properties     = "org.freedesktop.DBus.Properties"
)

// systemd is PID 1, on the bus at address (org.freedesktop.systemd1(5)).
type systemd struct{ address string }

// Start starts a unit and waits for its job to be removed, which for a oneshot unit
// is when its process has ended.
func (s systemd) Start(ctx context.Context, unit string) (end, error) {
	asked, err := monotonicNow()
	if err != nil {
		return end{}, err
	}
	conn, err := dbus.Connect(s.address, dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return end{}, contextOr(ctx, err)
	}
	defer conn.Close()
	result, err := runJob(ctx, conn, systemdManager+".StartUnit", unit, "replace")
	if err != nil || result != "failed" {
		return end{result: result, status: -1}, err
	}
	return failure(ctx, conn, unit, uint64(asked.Microseconds())), nil
}

// runJob calls a method that begins a job and waits until the job is removed. It returns
// the job's result. The connection must hand on signals in their order.
func runJob(ctx context.Context, conn *dbus.Conn, method string, args ...any) (string, error) {
	// Before the start: the job may be gone before its reply is here.
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	match := []dbus.MatchOption{
		dbus.WithMatchSender(systemdName),
		dbus.WithMatchObjectPath(systemdPath),
		dbus.WithMatchInterface(systemdManager),
		dbus.WithMatchMember("JobRemoved"),
	}
	if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
		return "", contextOr(ctx, err)
	}
	manager := conn.Object(systemdName, systemdPath)
	if err := manager.CallWithContext(ctx, systemdManager+".Subscribe", 0).Err; err != nil {
		return "", contextOr(ctx, err)
	}
	var job dbus.ObjectPath
	if err := manager.CallWithContext(ctx, method, 0, args...).Store(&job); err != nil {
		return "", contextOr(ctx, err)
	}
	return waitForJob(ctx, signals, job)
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
func failure(ctx context.Context, conn *dbus.Conn, unit string, asked uint64) end {
	e := end{result: "failed", status: -1}
	var path dbus.ObjectPath
	if conn.Object(systemdName, systemdPath).CallWithContext(ctx, systemdManager+".GetUnit", 0, unit).Store(&path) != nil {
		return e
	}
	var service map[string]dbus.Variant
	if conn.Object(systemdName, path).CallWithContext(ctx, properties+".GetAll", 0, systemdService).Store(&service) != nil {
		return e
	}
	began, _ := service["ExecMainStartTimestampMonotonic"].Value().(uint64)
	e.merged = began != 0 && began < asked
	// For a process that was killed the status is the number of the signal.
	const exited = 1 // CLD_EXITED of waitid(2)
	if code, _ := service["ExecMainCode"].Value().(int32); code == exited {
		status, _ := service["ExecMainStatus"].Value().(int32)
		e.status = int(status)
	}
	return e
}

// waitForJob returns the result of the job. Jobs of others are removed meanwhile.
func waitForJob(ctx context.Context, signals <-chan *dbus.Signal, job dbus.ObjectPath) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case s, ok := <-signals:
			if !ok {
				return "", contextOr(ctx, errors.New("the connection to systemd broke off"))
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

// contextOr returns why ctx ended, else err: a connection closed with its context
// has only that to say.
func contextOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
