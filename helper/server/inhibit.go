package server

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
	// inhibitPatience bounds the talk with logind: a bus that is silent does not keep a
	// command from its work.
	inhibitPatience = 3 * time.Second
	// goingPatience is how long a sleep may take, which logind counts as going on for a
	// while after the machine has woken. Time asleep is not counted.
	goingPatience = 15 * time.Second
	goingPause    = 200 * time.Millisecond
	// inProgress is logind's error when what is to wait has been granted already
	// (method_inhibit in logind-dbus.c).
	inProgress = "org.freedesktop.login1.OperationInProgress"
)

// Inhibit has shutdown and sleep wait for a command, where there is a logind, until release
// is called or this process has ended. They are refused where policy allows that, else put
// off for a few seconds (InhibitDelayMaxSec= in logind.conf(5)). Before systemd 257 root and
// whoever asks logind without looking pass over it. With [helper.ErrGoingOff] it is too late.
func Inhibit(ctx context.Context, run helper.Run) (release func(), err error) {
	if !(kernel{}).systemd() {
		return func() {}, nil
	}
	return logind{address: systemBus}.inhibit(ctx, changing(run.Program()), goingPatience)
}

// changing is what logind tells who has to wait.
func changing(program string) string {
	return fmt.Sprintf("%q is changing the operating system", program)
}

// inhibit waits for that long until a sleep that has begun is over.
func (l logind) inhibit(ctx context.Context, why string, going time.Duration) (release func(), err error) {
	for deadline := time.Now().Add(going); ; {
		release, err = l.inhibitNow(ctx, why)
		if !errors.Is(err, helper.ErrGoingOff) || time.Now().After(deadline) {
			return release, err
		}
		select {
		case <-time.After(goingPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (l logind) inhibitNow(ctx context.Context, why string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, inhibitPatience)
	defer cancel()
	conn, err := dbus.Connect(l.address, dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("cannot have shutdown and sleep wait: %w", contextOr(ctx, err))
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
			return nil, fmt.Errorf("cannot have shutdown and sleep wait: %w", helper.ErrGoingOff)
		}
	}
	return nil, fmt.Errorf("cannot have shutdown and sleep wait: %w", contextOr(ctx, err))
}
