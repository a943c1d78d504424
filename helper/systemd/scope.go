package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"
)

// reclaimPrefix is that of immutray-reclaim@.service, which takes back what nobody answers
// for.
const reclaimPrefix = "immutray-reclaim@"

// reclaimEvery is how often it is looked whether somebody does.
const reclaimEvery = 10 * time.Second

// LeaveCgroup moves this process, where PID 1 is systemd, out of the cgroup of who
// started it, so that it is not killed or frozen with that: into a scope of its own. As
// long as the process lives PID 1 looks every few seconds whether it does what it is there
// for, and once more when it has ended, however it came to that.
func LeaveCgroup(ctx context.Context) error {
	// Nor is it the one that goes when memory runs out. It is so small that nobody would
	// gain anything.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	if !Booted() {
		return nil
	}
	if err := leaveCgroup(ctx, PID1(nil), os.Getpid()); err != nil {
		return fmt.Errorf("cannot leave the caller's cgroup: %w", err)
	}
	return nil
}

func leaveCgroup(ctx context.Context, manager Manager, pid int) error {
	instance := strconv.Itoa(pid)
	scope, timer := "immutray-run-"+instance+".scope", reclaimPrefix+instance+".timer"
	// Not the service of the timer: a start of that while it runs would come to nothing.
	atEnd := []string{reclaimPrefix + "end-" + instance + ".service"}
	value := func(v any) dbus.Variant { return dbus.MakeVariant(v) }
	return Timers{manager}.bounded(ctx, func(ctx context.Context, l *conn) error {
		result, err := l.run(ctx, systemdManager+".StartTransientUnit", scope, "fail", []property{
			{"Description", value("Lock the operating system when a command has ended")},
			{"PIDs", value([]uint32{uint32(pid)})},
			{"CollectMode", value("inactive-or-failed")},
			// At shutdown it first locks what it has to.
			{"TimeoutStopUSec", value(uint64((10 * time.Second).Microseconds()))},
			{"OnSuccess", value(atEnd)},
			{"OnFailure", value(atEnd)},
			{"Wants", value([]string{timer})},
		}, []auxiliary{{timer, append(untilTheEnd(), []property{
			{"Description", value("Check that a command's write access has ended with it")},
			// It ends with the scope.
			{"BindsTo", value([]string{scope})},
			{"After", value([]string{scope})},
			{"AccuracyUSec", value(uint64(time.Second.Microseconds()))},
			{"TimersMonotonic", value([]monotonicTimer{
				{"OnActiveSec", uint64(reclaimEvery.Microseconds())},
				{"OnUnitInactiveSec", uint64(reclaimEvery.Microseconds())},
			})},
		}...)}})
		var refused dbus.Error
		if l.again && errors.As(err, &refused) && refused.Name == "org.freedesktop.systemd1.UnitExists" {
			return nil // the question was heard the first time, if not its answer
		}
		return unlessDone(scope, result, err)
	})
}
