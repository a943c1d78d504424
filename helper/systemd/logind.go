package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
)

const (
	logindName    = "org.freedesktop.login1"
	logindPath    = dbus.ObjectPath("/org/freedesktop/login1")
	logindManager = "org.freedesktop.login1.Manager"
	logindSession = "org.freedesktop.login1.Session"
)

// Logind is systemd-logind's D-Bus interface (org.freedesktop.login1(5)).
type Logind struct{ address string }

// SystemLogind returns the logind of this computer.
func SystemLogind() Logind { return Logind{address: systemBus} }

// People counts the sessions of people, wherever they sit. Greeters, cron's jobs and
// systemd's own sessions have other classes than people. A session that is closing has
// logged out: it may stay so for days, because of one program that was left running in it.
func (l Logind) People(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, talkTimeout)
	defer cancel()
	people, err := l.people(ctx)
	if err != nil {
		return 0, fmt.Errorf("cannot tell who is logged in: %w", contextOr(ctx, err))
	}
	return people, nil
}

func (l Logind) people(ctx context.Context) (int, error) {
	conn, err := dbus.Connect(l.address, dbus.WithContext(ctx))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	var sessions []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	manager := conn.Object(logindName, logindPath)
	if err := manager.CallWithContext(ctx, logindManager+".ListSessions", 0).Store(&sessions); err != nil {
		return 0, err
	}
	people := 0
	for _, s := range sessions {
		var session map[string]dbus.Variant
		err := conn.Object(logindName, s.Path).CallWithContext(ctx, properties+".GetAll", 0, logindSession).Store(&session)
		var gone dbus.Error
		if errors.As(err, &gone) && gone.Name == "org.freedesktop.DBus.Error.UnknownObject" {
			continue // it has ended since it was listed
		}
		if err != nil {
			return 0, err
		}
		class, _ := session["Class"].Value().(string)
		state, _ := session["State"].Value().(string)
		// Of people's there are several since systemd 256: user, user-early and others.
		if strings.HasPrefix(class, "user") && state != "closing" {
			people++
		}
	}
	return people, nil
}
