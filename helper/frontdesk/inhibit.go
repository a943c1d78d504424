package frontdesk

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// inhibitPatience bounds the talk with logind: a bus that is silent does not keep a command
// from its work.
const inhibitPatience = 3 * time.Second

// Inhibit has shutdown and sleep wait for a command, where there is a logind, until release
// is called or this process has ended. They are refused where policy allows that, else put
// off for a few seconds (InhibitDelayMaxSec= in logind.conf(5)). Before systemd 257 root and
// whoever asks logind without looking pass over it.
func Inhibit(ctx context.Context, run helper.Run) (release func(), err error) {
	if !(kernel{}).systemd() {
		return func() {}, nil
	}
	return logind{address: systemBus}.inhibit(ctx, run)
}

func (l logind) inhibit(ctx context.Context, run helper.Run) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, inhibitPatience)
	defer cancel()
	conn, err := dbus.Connect(l.address, dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("cannot have shutdown and sleep wait: %w", contextOr(ctx, err))
	}
	defer conn.Close()
	why := fmt.Sprintf("%q is changing the operating system", run.Program())
	for _, mode := range []string{"block", "delay"} {
		var lock dbus.UnixFD
		err = conn.Object(logindName, logindPath).
			CallWithContext(ctx, logindManager+".Inhibit", 0, "shutdown:sleep", "Immutray", why, mode).Store(&lock)
		if err == nil {
			return func() { unix.Close(int(lock)) }, nil
		}
	}
	return nil, fmt.Errorf("cannot have shutdown and sleep wait: %w", contextOr(ctx, err))
}
