package tray

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

const (
	// appletName is owned by the one applet of a session. Nothing is exported under
	// it: every program of the user can call what is, and asking for a password must
	// stay with what the person clicks.
	appletName  = "org.immutray.Applet"
	watcherName = "org.kde.StatusNotifierWatcher"
)

// ErrAlreadyRunning says that this session has its applet.
var ErrAlreadyRunning = errors.New("immutray is already running in this session")

// connectSession returns a connection to the session bus of its own. godbus would
// start a bus where there is none, and nobody would ever look at that.
func connectSession() (*dbus.Conn, error) {
	conn, err := dbus.SessionBusPrivateNoAutoStartup()
	if err != nil {
		return nil, fmt.Errorf("cannot reach the session bus: %w", err)
	}
	if err := conn.Auth(nil); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot reach the session bus: %w", err)
	}
	if err := conn.Hello(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot reach the session bus: %w", err)
	}
	return conn, nil
}

// beOnly makes this process the session's applet, or returns ErrAlreadyRunning.
func beOnly(conn *dbus.Conn) error {
	reply, err := conn.RequestName(appletName, dbus.NameFlagDoNotQueue)
	if err != nil {
		return fmt.Errorf("cannot own %s: %w", appletName, err)
	}
	if reply == dbus.RequestNameReplyExists {
		return ErrAlreadyRunning
	}
	return nil
}

// watchTray calls present with whether there is a tray, now and at every change,
// until ctx ends or the bus is gone. systray registers with a new one by itself.
func watchTray(ctx context.Context, conn *dbus.Conn, present func(bool)) error {
	changes := make(chan *dbus.Signal, 16)
	conn.Signal(changes)
	defer conn.RemoveSignal(changes)
	if err := conn.AddMatchSignalContext(ctx,
		dbus.WithMatchSender("org.freedesktop.DBus"),
		dbus.WithMatchInterface("org.freedesktop.DBus"),
		dbus.WithMatchMember("NameOwnerChanged"),
		dbus.WithMatchArg(0, watcherName),
	); err != nil {
		return fmt.Errorf("cannot watch for a tray: %w", err)
	}
	for {
		var has bool
		if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, watcherName).Store(&has); err != nil {
			return fmt.Errorf("cannot watch for a tray: %w", err)
		}
		present(has)
		// Other signals come here too, of matches that others added: the bus is
		// asked again only for this one.
		if err := nextOwner(ctx, changes); err != nil {
			return err
		}
	}
}

func nextOwner(ctx context.Context, changes <-chan *dbus.Signal) error {
	for {
		select {
		case s, ok := <-changes:
			if !ok {
				return dbus.ErrClosed
			}
			if s.Name == "org.freedesktop.DBus.NameOwnerChanged" && len(s.Body) > 0 && s.Body[0] == watcherName {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
