package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Timers are transient timers of PID 1, which outlive everything of the user's and this
// process too. Each is an instance of its own, so that one can be armed before another
// is stopped; a timer starts the service of its name, immutray-relock@.service, which
// tries until the lock is done.
type Timers struct{ Manager }

const (
	relockPrefix = "immutray-relock@"
	relockTimers = relockPrefix + "*.timer"
)

func relockTimer(id string) string { return relockPrefix + id + ".timer" }

// A property of a unit, as StartTransientUnit takes it (org.freedesktop.systemd1(5)).
type property struct {
	Name  string
	Value dbus.Variant
}

type auxiliary struct {
	Name       string
	Properties []property
}

type (
	monotonicTimer struct {
		Base string
		Usec uint64
	}
	calendarTimer struct{ Base, Spec string }
)

// Arm starts a timer, which comes at the earliest of what it is told (systemd.timer(5)).
//
// None of it alone keeps the time: CLOCK_MONOTONIC stands still while the machine sleeps,
// the calendar goes by a time of day that may be set back, and OnActiveSec= counts anew
// after every daemon-reload, such as an installation makes, while OnBootSec= means
// another moment in a container (timer_enter_waiting in systemd's timer.c). When the
// time of day is set, and at every wake-up, OnClockChange= has the helper look, and set
// the timer anew.
func (t Timers) Arm(ctx context.Context, id string, after time.Duration) error {
	now := time.Now()
	sinceStart, err := monotonicNow()
	if err != nil {
		return err
	}
	return t.bounded(ctx, func(ctx context.Context, l *conn) error {
		// It counts when the job is done: then the timer runs.
		result, err := l.run(ctx, systemdManager+".StartTransientUnit",
			relockTimer(id), "fail", timerProperties(now, sinceStart, after), []auxiliary{})
		var refused dbus.Error
		if l.again && errors.As(err, &refused) && refused.Name == "org.freedesktop.systemd1.UnitExists" {
			return nil // the question was heard the first time, if not its answer
		}
		return unlessDone(relockTimer(id), result, err)
	})
}

func timerProperties(now time.Time, sinceStart, after time.Duration) []property {
	usec := func(d time.Duration) uint64 { return uint64(d.Microseconds()) }
	// Calendar specifications are whole seconds: the first that is not too early.
	at := now.Add(after + time.Second - 1).Truncate(time.Second).UTC()
	value := func(v any) dbus.Variant { return dbus.MakeVariant(v) }
	return append(untilTheEnd(), []property{
		{"Description", value("Lock the operating system when its window ends")},
		{"AccuracyUSec", value(usec(time.Second))},
		{"RemainAfterElapse", value(false)},
		{"OnClockChange", value(true)},
		{"TimersMonotonic", value([]monotonicTimer{
			{"OnActiveSec", usec(after)},
			{"OnBootSec", usec(sinceStart + after)},
		})},
		{"TimersCalendar", value([]calendarTimer{{"OnCalendar", at.Format("2006-01-02 15:04:05 UTC")}})},
	}...)
}

// untilTheEnd are the properties of a timer that nothing but the end of the system stops:
// neither "systemctl isolate", nor emergency mode, which stops what every timer requires
// by default, nor a soft reboot (systemd-soft-reboot.service(8)).
func untilTheEnd() []property {
	return []property{
		{"DefaultDependencies", dbus.MakeVariant(false)},
		{"IgnoreOnIsolate", dbus.MakeVariant(true)},
		{"Conflicts", dbus.MakeVariant([]string{"reboot.target", "kexec.target", "poweroff.target", "halt.target"})},
		{"Before", dbus.MakeVariant([]string{"shutdown.target"})},
	}
}

// Disarm stops the timers. It does not wait until they have stopped: PID 1 does first
// what it was asked first.
func (t Timers) Disarm(ctx context.Context, except string) error {
	return t.bounded(ctx, func(ctx context.Context, l *conn) error {
		var units []struct {
			Name, Description, Load, Active, Sub, Following string
			Path                                            dbus.ObjectPath
			JobID                                           uint32
			JobType                                         string
			JobPath                                         dbus.ObjectPath
		}
		if err := l.ask(ctx, systemdPath, systemdManager+".ListUnitsByPatterns", []any{[]string{}, []string{relockTimers}}, &units); err != nil {
			return err
		}
		var failed error
		for _, u := range units {
			if u.Name == relockTimer(except) || u.Active == "inactive" || u.Active == "failed" {
				continue
			}
			var job dbus.ObjectPath
			if err := l.ask(ctx, systemdPath, systemdManager+".StopUnit", []any{u.Name, "replace"}, &job); err != nil {
				failed = err
			}
		}
		return failed
	})
}

// bounded is talk, which takes as long as talkTimeout at most.
func (t Timers) bounded(ctx context.Context, do func(context.Context, *conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, talkTimeout)
	defer cancel()
	if err := t.talk(ctx, do); err != nil {
		return fmt.Errorf("systemd: %w", err)
	}
	return nil
}
