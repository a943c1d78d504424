package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

const (
	// inhibitTimeout bounds one call of logind: a bus that does not answer does not keep a
	// command from running.
	inhibitTimeout = 3 * time.Second
	// sleepPause is how often logind is asked again while the machine goes to sleep.
	sleepPause = 200 * time.Millisecond
	// inProgress is logind's error when the shutdown or the sleep has begun already
	// (method_inhibit in logind-dbus.c).
	inProgress = "org.freedesktop.login1.OperationInProgress"
)

// Inhibit has shutdown and sleep wait until release is called or this process has ended.
// logind refuses them where its policy allows that, else it delays them for a few seconds
// (InhibitDelayMaxSec= in logind.conf(5)). Before systemd 257, root and whoever tells
// logind to ignore inhibitors can shut down nevertheless.
//
// A sleep that has begun is waited for, for as long as sleepTimeout: logind counts it as
// in progress for a while after the machine has woken. With [helper.ErrGoingOff] it is too
// late.
func (l Logind) Inhibit(ctx context.Context, why string, sleepTimeout time.Duration) (release func(), err error) {
	for deadline := time.Now().Add(sleepTimeout); ; {
		release, err = l.inhibit(ctx, why)
		if !errors.Is(err, helper.ErrGoingOff) || time.Now().After(deadline) {
			return release, err
		}
		select {
		case <-time.After(sleepPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (l Logind) inhibit(ctx context.Context, why string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, inhibitTimeout)
	defer cancel()
	conn, err := dbus.Connect(l.address, dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("cannot make shutdown and sleep wait: %w", contextOr(ctx, err))
	}
	defer conn.Close()
	for _, mode := range []string{"block", "delay"} {
		var lock dbus.UnixFD
		err = conn.Object(logindName, logindPath).
			CallWithContext(ctx, logindManager+".Inhibit", 0, "shutdown:sleep", "Immutray", why, mode).Store(&lock)
		var refused dbus.Error
		switch {
		case err == nil:
			return func() { unix.Close(int(lock)) }, nil
		case errors.As(err, &refused) && refused.Name == inProgress:
			return nil, fmt.Errorf("cannot make shutdown and sleep wait: %w", helper.ErrGoingOff)
		}
	}
	return nil, fmt.Errorf("cannot make shutdown and sleep wait: %w", contextOr(ctx, err))
}
