package server

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

	// answerPatience is how long one answer may take that costs PID 1 nothing.
	answerPatience = 4 * time.Second
	// busPatience bounds each talk with PID 1; it has other things to do meanwhile.
	busPatience = 20 * time.Second
)

// pid1 is where to reach systemd's manager (org.freedesktop.systemd1(5)).
type pid1 struct {
	bus    string
	direct string // without a bus; "" is nowhere
	// note takes what the asker is to be told; it may be nil.
	note     func(string)
	patience time.Duration // 0 is answerPatience; shorter in tests
}

// errUnheard is the error of a question that was perhaps never heard, as against one that
// systemd refused.
var errUnheard = errors.New("no answer")

// A line is a connection to PID 1.
type line struct {
	*dbus.Conn
	overBus  bool
	again    bool // it may have heard the question already
	patience time.Duration
}

// talk calls do with a connection to PID 1: over the bus and, where that does not answer,
// directly.
func (p pid1) talk(ctx context.Context, do func(context.Context, *line) error) error {
	patience := p.patience
	if patience == 0 {
		patience = answerPatience
	}
	l := &line{overBus: true, patience: patience}
	err := l.with(ctx, p.bus, do)
	if p.direct == "" || !errors.Is(err, errUnheard) || ctx.Err() != nil {
		return err
	}
	l = &line{again: true, patience: patience}
	if second := l.with(ctx, p.direct, do); second == nil || !errors.Is(second, errUnheard) {
		if p.note != nil {
			p.note("the system bus does not answer: systemd was asked without it")
		}
		return second
	}
	return err
}

func (l *line) with(ctx context.Context, address string, do func(context.Context, *line) error) error {
	// The connection is closed when its context ends.
	life, end := context.WithCancel(ctx)
	defer end()
	late := time.AfterFunc(l.patience, end)
	conn, err := l.dial(life, address)
	if err != nil {
		return unheard(ctx, err)
	}
	defer conn.Close()
	l.Conn = conn
	if !late.Stop() {
		return unheard(ctx, context.DeadlineExceeded)
	}
	return do(ctx, l)
}

func (l *line) dial(ctx context.Context, address string) (*dbus.Conn, error) {
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
func (l *line) ask(ctx context.Context, path dbus.ObjectPath, method string, args []any, to ...any) error {
	call, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	answer := l.Object(systemdName, path).CallWithContext(call, method, 0, args...)
	if answer.Err != nil {
		return unheard(ctx, answer.Err)
	}
	return answer.Store(to...)
}

// run calls a method that begins a job and waits until the job is removed. It returns the
// job's result.
func (l *line) run(ctx context.Context, method string, args ...any) (string, error) {
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
func (l *line) subscribe(ctx context.Context) error {
	if !l.overBus {
		return nil
	}
	match, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	if err := l.AddMatchSignalContext(match,
		dbus.WithMatchSender(systemdName),
		dbus.WithMatchObjectPath(systemdPath),
		dbus.WithMatchInterface(systemdManager),
		dbus.WithMatchMember("JobRemoved"),
	); err != nil {
		return unheard(ctx, err)
	}
	return l.ask(ctx, systemdPath, systemdManager+".Subscribe", nil)
}

// unheard tells errors of the way to systemd from what it answered. Why ctx ended says more
// than either: a connection closed with it has only that to say.
func unheard(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answer dbus.Error
	if errors.As(err, &answer) && !strings.HasPrefix(answer.Name, "org.freedesktop.DBus.Error.") {
		return err
	}
	return &unheardError{err}
}

type unheardError struct{ cause error }

func (e *unheardError) Error() string        { return e.cause.Error() }
func (e *unheardError) Is(target error) bool { return target == errUnheard }
func (e *unheardError) Unwrap() error        { return e.cause }

// waitForJob returns the result of the job. Jobs of others are removed meanwhile.
func waitForJob(ctx context.Context, signals <-chan *dbus.Signal, job dbus.ObjectPath) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case s, ok := <-signals:
			if !ok {
				return "", unheard(ctx, errors.New("the connection to systemd broke off"))
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
