package tray

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// errNeedsPassword says that a lock without a click would ask for a password.
var errNeedsPassword = errors.New("cannot lock automatically: locking needs a password here")

// mayLock returns nil when polkit lets this process lock without a password. Where the
// rules of the computer want one, or another session has the screen by now, pkexec would
// show its dialog where the person can't see it.
func mayLock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	conn, err := connectSystem(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The process at the other end of this connection: what pkexec takes for its caller
	// (pkexec.c). Without flags polkit asks for no password.
	subject := struct {
		Kind    string
		Details map[string]dbus.Variant
	}{"system-bus-name", map[string]dbus.Variant{"name": dbus.MakeVariant(conn.Names()[0])}}
	var answer struct {
		Authorized, Challenge bool
		Details               map[string]string
	}
	err = conn.Object("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority").CallWithContext(ctx,
		"org.freedesktop.PolicyKit1.Authority.CheckAuthorization", 0,
		subject, "org.immutray.lock", map[string]string{}, uint32(0), "").Store(&answer)
	switch {
	case err != nil:
		return fmt.Errorf("cannot ask polkit: %w", err)
	case !answer.Authorized:
		return errNeedsPassword
	}
	return nil
}
