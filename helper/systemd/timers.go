package systemd

import (
	"context"
	"fmt"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// Timers are the timers that lock at the end of a window. They are transient units of
// PID 1, which outlive everything of the user's and this process too. Each is an instance
// of its own, so that one can be armed before another is stopped. A timer starts the
// service of its name, immutray-relock@.service, which tries until the system is locked.
type Timers struct{ Manager }

const (
	relockPrefix = "immutray-relock@"
	relockTimers = relockPrefix + "*.timer"
)

func relockTimer(id string) string { return relockPrefix + id + ".timer" }

type (
	monotonicTimer struct {
		Base string
		Usec uint64
	}
	calendarTimer struct{ Base, Spec string }
)

// Arm starts a timer, which elapses at the earliest of several times (systemd.timer(5)).
//
// No single one of them is enough. CLOCK_MONOTONIC stands still while the machine sleeps.
// The calendar follows the time of day, which may be set back. OnActiveSec= starts again
// after every daemon-reload, which an installation may do. And in a container OnBootSec=
// counts from another moment (timer_enter_waiting in systemd's timer.c). When the time of
// day is set, and at every wake-up, OnClockChange= starts the helper, which looks at the
// time and arms the timer again.
func (t Timers) Arm(ctx context.Context, id string, after time.Duration) error {
	now := time.Now()
	sinceStart, err := monotonicNow()
	if err != nil {
		return err
	}
	return t.bounded(ctx, func(ctx context.Context, c *conn) error {
		// The timer runs when its job is done, and not before.
		return c.startTransient(ctx, relockTimer(id), timerProperties(now, sinceStart, after))
	})
}

// startTransient starts a transient unit and others with it.
func (c *conn) startTransient(ctx context.Context, unit string, settings []sd.Property, others ...sd.PropertyCollection) error {
	result, err := c.runJob(ctx, systemdManager+".StartTransientUnit", unit, "fail", settings, others)
	switch {
	case c.again && isRefusal(err, unitExists):
		return nil // systemd has received the first call, and only its answer was lost
	case err != nil:
		return err
	case result != "done":
		return fmt.Errorf("the start of %s ended (%s)", unit, result)
	}
	return nil
}

func timerProperties(now time.Time, sinceStart, after time.Duration) []sd.Property {
	usec := func(d time.Duration) uint64 { return uint64(d.Microseconds()) }
	// Calendar specifications are whole seconds: the first that is not too early.
	at := now.Add(after + time.Second - 1).Truncate(time.Second).UTC()
	return append(untilTheEnd(),
		sd.PropDescription("Lock the operating system when the time of an unlock is over"),
		set("AccuracyUSec", usec(time.Second)),
		set("RemainAfterElapse", false),
		set("OnClockChange", true),
		set("TimersMonotonic", []monotonicTimer{
			{"OnActiveSec", usec(after)},
			{"OnBootSec", usec(sinceStart + after)},
		}),
		set("TimersCalendar", []calendarTimer{{"OnCalendar", at.Format("2006-01-02 15:04:05 UTC")}}),
	)
}

// set is a property that go-systemd has no function for.
func set(name string, value any) sd.Property {
	return sd.Property{Name: name, Value: dbus.MakeVariant(value)}
}

// untilTheEnd are the properties of a timer that nothing but the end of the system stops:
// neither "systemctl isolate", nor emergency mode, which stops what every timer requires
// by default, nor a soft reboot (systemd-soft-reboot.service(8)).
func untilTheEnd() []sd.Property {
	return []sd.Property{
		set("DefaultDependencies", false),
		set("IgnoreOnIsolate", true),
		sd.PropConflicts("reboot.target", "kexec.target", "poweroff.target", "halt.target"),
		sd.PropBefore("shutdown.target"),
	}
}

// Disarm stops all timers but one. It does not wait until they have stopped: PID 1 works
// through jobs in their order.
func (t Timers) Disarm(ctx context.Context, except string) error {
	return t.bounded(ctx, func(ctx context.Context, c *conn) error {
		var units []sd.UnitStatus
		if err := c.call(ctx, systemdPath, systemdManager+".ListUnitsByPatterns", []any{[]string{}, []string{relockTimers}}, &units); err != nil {
			return err
		}
		var failed error
		for _, u := range units {
			if u.Name == relockTimer(except) || u.ActiveState == "inactive" || u.ActiveState == "failed" {
				continue
			}
			var job dbus.ObjectPath
			if err := c.call(ctx, systemdPath, systemdManager+".StopUnit", []any{u.Name, "replace"}, &job); err != nil {
				failed = err
			}
		}
		return failed
	})
}

// bounded is talk with a time limit.
func (m Manager) bounded(ctx context.Context, do func(context.Context, *conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, talkTimeout)
	defer cancel()
	if err := m.talk(ctx, do); err != nil {
		return fmt.Errorf("systemd: %w", err)
	}
	return nil
}
