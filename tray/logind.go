package tray

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

const (
	logindName     = "org.freedesktop.login1"
	logindSessions = dbus.ObjectPath("/org/freedesktop/login1/session")
	logindSession  = "org.freedesktop.login1.Session"
	properties     = "org.freedesktop.DBus.Properties"
)

// connectSystem returns a connection of its own to the system bus; it is closed when ctx
// ends.
func connectSystem(ctx context.Context) (*dbus.Conn, error) {
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("cannot reach the system bus: %w", err)
	}
	return conn, nil
}

// watchScreen calls locked whenever a session of the user uid locks its screen, until
// ctx ends or the bus is gone.
//
// Lock is logind's wish that the screen be locked, LockedHint the desktop's word that
// it is; some screen lockers know only one of them (org.freedesktop.login1(5)). Both
// may come for one lock. All sessions are listened to: a program that systemd started
// for the user is in none of them.
func watchScreen(ctx context.Context, conn *dbus.Conn, uid uint32, locked func()) error {
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	defer conn.RemoveSignal(signals)
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchInterface(logindSession), dbus.WithMatchMember("Lock")},
		{dbus.WithMatchInterface(properties), dbus.WithMatchMember("PropertiesChanged"), dbus.WithMatchArg(0, logindSession)},
	} {
		match = append(match, dbus.WithMatchSender(logindName), dbus.WithMatchPathNamespace(logindSessions))
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			return fmt.Errorf("cannot watch for a locked screen: %w", err)
		}
	}
	for {
		select {
		case s, ok := <-signals:
			if !ok {
				return fmt.Errorf("cannot watch for a locked screen: %w", dbus.ErrClosed)
			}
			if saysLocked(s) && isOwn(ctx, conn, s.Path, uid) {
				locked()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func saysLocked(s *dbus.Signal) bool {
	switch s.Name {
	case logindSession + ".Lock":
		return true
	case properties + ".PropertiesChanged":
		var of string
		var changed map[string]dbus.Variant
		var invalidated []string
		if dbus.Store(s.Body, &of, &changed, &invalidated) != nil {
			return false
		}
		hint, _ := changed["LockedHint"].Value().(bool)
		return hint
	}
	return false
}

// isOwn reports whether a session is the user's. One of which that can't be learned is
// not: another's screen is no reason to lock.
func isOwn(ctx context.Context, conn *dbus.Conn, session dbus.ObjectPath, uid uint32) bool {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	var owner struct {
		UID  uint32
		Path dbus.ObjectPath
	}
	err := conn.Object(logindName, session).CallWithContext(ctx, properties+".Get", 0, logindSession, "User").Store(&owner)
	return err == nil && owner.UID == uid
}
