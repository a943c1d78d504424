// Package systemd talks to systemd: it has PID 1 start units, timers and scopes, and asks
// systemd-logind who is logged in and to delay shutdown.
package systemd

import (
	"context"
	"errors"
	"fmt"
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
	// how systemctl asks, started by root (bus_connect_transport_systemd in its
	// bus-util.c); others are to use the bus (systemd(1)), as long as that answers.
	systemdSocket = "unix:path=/run/systemd/private"

	// answerTimeout is how long one answer may take that costs PID 1 nothing.
	answerTimeout = 4 * time.Second
	// talkTimeout bounds each talk with PID 1; it has other things to do meanwhile.
	talkTimeout = 20 * time.Second
)

// A Manager is PID 1's D-Bus interface (org.freedesktop.systemd1(5)).
type Manager struct {
	bus     string
	direct  string        // without a bus; "" is nowhere
	note    func(string)  // may be nil
	timeout time.Duration // 0 is answerTimeout; shorter in tests
}

// PID1 returns the manager of this computer. note takes what a person should be told of
// how it was reached; it may be nil.
func PID1(note func(string)) Manager {
	return Manager{bus: systemBus, direct: systemdSocket, note: note}
}

// ErrNoAnswer is the error of a call that systemd has perhaps never received, as against one
// that it has refused.
var ErrNoAnswer = errors.New("no answer")

// A line is a connection to PID 1.
type conn struct {
	*dbus.Conn
	overBus bool
	again   bool // it may have heard the question already
	timeout time.Duration
}

// talk calls do with a connection to PID 1: over the bus and, where that does not answer,
// directly.
func (m Manager) talk(ctx context.Context, do func(context.Context, *conn) error) error {
	timeout := m.timeout
	if timeout == 0 {
		timeout = answerTimeout
	}
	l := &conn{overBus: true, timeout: timeout}
	err := l.with(ctx, m.bus, do)
	if m.direct == "" || !errors.Is(err, ErrNoAnswer) || ctx.Err() != nil {
		return err
	}
	l = &conn{again: true, timeout: timeout}
	if second := l.with(ctx, m.direct, do); second == nil || !errors.Is(second, ErrNoAnswer) {
		if m.note != nil {
			m.note("the system bus does not answer, so the helper asked systemd directly")
		}
		return second
	}
	return err
}

func (l *conn) with(ctx context.Context, address string, do func(context.Context, *conn) error) error {
	// The connection is closed when its context ends.
	life, end := context.WithCancel(ctx)
	defer end()
	late := time.AfterFunc(l.timeout, end)
	conn, err := l.dial(life, address)
	if err != nil {
		return noAnswer(ctx, err)
	}
	defer conn.Close()
	l.Conn = conn
	if !late.Stop() {
		return noAnswer(ctx, context.DeadlineExceeded)
	}
	return do(ctx, l)
}

func (l *conn) dial(ctx context.Context, address string) (*dbus.Conn, error) {
	options := []dbus.ConnOption{dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())}
	if l.overBus {
		return dbus.Connect(address, options...)
	}
	conn, err := dbus.Dial(address, options...)
	if err != nil {
		return nil, err
	}
	// There is nobody to say Hello to.
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// ask calls a method of an object of systemd's, and stores what it answers in to.
func (l *conn) ask(ctx context.Context, path dbus.ObjectPath, method string, args []any, to ...any) error {
	call, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	answer := l.Object(systemdName, path).CallWithContext(call, method, 0, args...)
	if answer.Err != nil {
		return noAnswer(ctx, answer.Err)
	}
	return answer.Store(to...)
}

// run calls a method that begins a job and waits until the job is removed. It returns the
// job's result.
func (l *conn) run(ctx context.Context, method string, args ...any) (string, error) {
	// Before the start: the job may be gone before its reply is here.
	signals := make(chan *dbus.Signal, 16)
	l.Signal(signals)
	if err := l.subscribe(ctx); err != nil {
		return "", err
	}
	var job dbus.ObjectPath
	if err := l.ask(ctx, systemdPath, method, args, &job); err != nil {
		return "", err
	}
	return waitForJob(ctx, signals, job)
}

// subscribe has the ends of jobs told. Who asks directly is told in any case
// (bus_foreach_bus in systemd's dbus.c).
func (l *conn) subscribe(ctx context.Context) error {
	if !l.overBus {
		return nil
	}
	match, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if err := l.AddMatchSignalContext(match,
		dbus.WithMatchSender(systemdName),
		dbus.WithMatchObjectPath(systemdPath),
		dbus.WithMatchInterface(systemdManager),
		dbus.WithMatchMember("JobRemoved"),
	); err != nil {
		return noAnswer(ctx, err)
	}
	return l.ask(ctx, systemdPath, systemdManager+".Subscribe", nil)
}

// noAnswer tells errors of the way to systemd from what it answered. Why ctx ended says more
// than either: a connection closed with it has only that to say.
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

// waitForJob returns the result of the job. Jobs of others are removed meanwhile.
func waitForJob(ctx context.Context, signals <-chan *dbus.Signal, job dbus.ObjectPath) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case s, ok := <-signals:
			if !ok {
				return "", noAnswer(ctx, errors.New("the connection to systemd broke off"))
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

// unlessDone makes an error of the result of a job that was to be done.
func unlessDone(unit, result string, err error) error {
	if err != nil || result == "done" {
		return err
	}
	return fmt.Errorf("the start of %s ended (%s)", unit, result)
}

// contextOr returns why ctx ended, else err: a connection closed with its context
// has only that to say.
func contextOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
