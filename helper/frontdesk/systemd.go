package frontdesk

import (
	"context"
	"errors"

	"github.com/godbus/dbus/v5"
)

// systemBus is where the system's message bus listens, whatever the environment says.
const systemBus = "unix:path=/run/dbus/system_bus_socket"

const (
	systemdName    = "org.freedesktop.systemd1"
	systemdPath    = dbus.ObjectPath("/org/freedesktop/systemd1")
	systemdManager = "org.freedesktop.systemd1.Manager"
)

// systemd is PID 1, on the bus at address (org.freedesktop.systemd1(5)).
type systemd struct{ address string }

// Start starts a unit and waits for its job to be removed, which for a oneshot unit
// is when its process has ended.
func (s systemd) Start(ctx context.Context, unit string) (string, error) {
	conn, err := dbus.Connect(s.address, dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return "", contextOr(ctx, err)
	}
	defer conn.Close()
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
	if err := manager.CallWithContext(ctx, systemdManager+".StartUnit", 0, unit, "replace").Store(&job); err != nil {
		return "", contextOr(ctx, err)
	}
	return waitForJob(ctx, signals, job)
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
