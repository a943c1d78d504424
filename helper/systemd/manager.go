// Package systemd talks to systemd on D-Bus: it has PID 1 start units, timers and scopes,
// and asks systemd-logind who is logged in and to delay shutdown.
//
// The properties of units are those of go-systemd, and so are names. Its connections are
// not used. They take the end of a job from whoever sends that signal, which every user may
// do on the system bus (allow send_type="signal" in dbus-daemon's system.conf). And when
// the connection breaks off, their callers wait for the end of a job forever.
package systemd

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// systemBus is where the system's message bus listens, whatever the environment says.
	systemBus = "unix:path=/run/dbus/system_bus_socket"
	// systemdSocket is where systemd listens for root alone, without a message bus. That is
	// how systemctl asks when root has started it (bus_connect_transport_systemd in its
	// bus-util.c). Others are to use the bus (systemd(1)), as long as that answers.
	systemdSocket = "unix:path=/run/systemd/private"

	systemdName    = "org.freedesktop.systemd1"
	systemdPath    = dbus.ObjectPath("/org/freedesktop/systemd1")
	systemdManager = "org.freedesktop.systemd1.Manager"
	systemdService = "org.freedesktop.systemd1.Service"
	properties     = "org.freedesktop.DBus.Properties"

	// unitExists is systemd's error for a transient unit whose name is taken.
	unitExists = "org.freedesktop.systemd1.UnitExists"

	// answerTimeout bounds one call that costs PID 1 nothing.
	answerTimeout = 4 * time.Second
	// talkTimeout bounds all calls of one connection: PID 1 has other things to do
	// meanwhile.
	talkTimeout = 20 * time.Second
)

// A Manager is PID 1's D-Bus interface (org.freedesktop.systemd1(5)).
type Manager struct {
	bus     string
	direct  string        // without a bus; "" is nowhere
	note    func(string)  // may be nil
	timeout time.Duration // 0 is answerTimeout; shorter in tests
}

// PID1 returns the manager of this computer. note takes a notice of how it was reached,
// for the result; it may be nil.
func PID1(note func(string)) Manager {
	return Manager{bus: systemBus, direct: systemdSocket, note: note}
}

// ErrNoAnswer is the error of a call that systemd has perhaps never received, as against one
// that it has refused.
var ErrNoAnswer = errors.New("no answer")

// A conn is a connection to PID 1.
type conn struct {
	*dbus.Conn
	overBus bool
	again   bool // PID 1 may have received the same calls on another connection
	timeout time.Duration
}

// talk calls do with a connection to PID 1: over the bus and, where that does not answer,
// directly.
func (m Manager) talk(ctx context.Context, do func(context.Context, *conn) error) error {
	timeout := m.timeout
	if timeout == 0 {
		timeout = answerTimeout
	}
	c := &conn{overBus: true, timeout: timeout}
	err := c.with(ctx, m.bus, do)
	if m.direct == "" || !errors.Is(err, ErrNoAnswer) || ctx.Err() != nil {
		return err
	}
	c = &conn{again: true, timeout: timeout}
	if second := c.with(ctx, m.direct, do); second == nil || !errors.Is(second, ErrNoAnswer) {
		if m.note != nil {
			m.note("the system bus does not answer, so the helper asked systemd directly")
		}
		return second
	}
	return err
}

func (c *conn) with(ctx context.Context, address string, do func(context.Context, *conn) error) error {
	// The connection is closed when its context ends.
	life, end := context.WithCancel(ctx)
	defer end()
	late := time.AfterFunc(c.timeout, end)
	var err error
	if c.Conn, err = c.dial(life, address); err != nil {
		return noAnswer(ctx, err)
	}
	defer c.Close()
	if !late.Stop() {
		return noAnswer(ctx, context.DeadlineExceeded)
	}
	return do(ctx, c)
}

func (c *conn) dial(ctx context.Context, address string) (*dbus.Conn, error) {
	options := []dbus.ConnOption{dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())}
	if c.overBus {
		return dbus.Connect(address, options...)
	}
	direct, err := dbus.Dial(address, options...)
	if err != nil {
		return nil, err
	}
	// Without a bus there is no Hello.
	if err := direct.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err != nil {
		direct.Close()
		return nil, err
	}
	return direct, nil
}

// call calls a method of an object of systemd's, and stores the answer in to.
func (c *conn) call(ctx context.Context, path dbus.ObjectPath, method string, args []any, to ...any) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer := c.Object(systemdName, path).CallWithContext(limited, method, 0, args...)
	if answer.Err != nil {
		return noAnswer(ctx, answer.Err)
	}
	return answer.Store(to...)
}

// noAnswer makes a [ErrNoAnswer] of what is not systemd's own error. Why ctx has ended says
// more than either: the connection was closed with it.
func noAnswer(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answer dbus.Error
	if errors.As(err, &answer) && !strings.HasPrefix(answer.Name, "org.freedesktop.DBus.Error.") {
		return err
	}
	return &noAnswerError{err}
}

type noAnswerError struct{ cause error }

func (e *noAnswerError) Error() string        { return e.cause.Error() }
func (e *noAnswerError) Is(target error) bool { return target == ErrNoAnswer }
func (e *noAnswerError) Unwrap() error        { return e.cause }

// isRefusal reports whether err is systemd's error of that name.
func isRefusal(err error, name string) bool {
	var refused dbus.Error
	return errors.As(err, &refused) && refused.Name == name
}

// contextOr returns why ctx has ended, else err: a connection closed with its context says
// only that it is closed.
func contextOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
