package tray

import (
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// appletName is owned by the one applet of a session. Nothing is exported under
// it: every program of the user can call what is, and asking for a password must
// stay with what the person clicks.
const appletName = "org.immutray.Applet"

// errAlreadyRunning says that this session has its applet.
var errAlreadyRunning = errors.New("immutray is already running in this session")

// connectSession returns a connection to the session bus of its own. godbus would
// start a bus where there is none, and no other program would use that.
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

// beOnly makes this process the session's applet, or returns errAlreadyRunning.
func beOnly(conn *dbus.Conn) error {
	reply, err := conn.RequestName(appletName, dbus.NameFlagDoNotQueue)
	if err != nil {
		return fmt.Errorf("cannot own %s: %w", appletName, err)
	}
	if reply == dbus.RequestNameReplyExists {
		return errAlreadyRunning
	}
	return nil
}
