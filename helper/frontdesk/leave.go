package frontdesk

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/godbus/dbus/v5"
)

// Leave frees a process of root's from who started it, as the helper frees itself:
// environment, directory, umask, limits, signals, session.
func Leave() error {
	_, err := leaveCaller()
	return err
}

// LeaveCgroup moves this process, where PID 1 is systemd, out of the cgroup of who
// started it, so that it is not killed or frozen with that: into the scope called name,
// such as "immutray-run-1.scope".
func LeaveCgroup(ctx context.Context, name, description string) error {
	// Nor is it the one that goes when memory runs out. It is so small that nobody would
	// gain anything.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	if !(kernel{}).systemd() {
		return nil
	}
	if err := leaveCgroup(ctx, systemBus, name, description); err != nil {
		return fmt.Errorf("cannot leave the caller's cgroup: %w", err)
	}
	return nil
}

func leaveCgroup(ctx context.Context, bus, name, description string) error {
	return timers{address: bus}.talk(ctx, func(ctx context.Context, conn *dbus.Conn) error {
		value := func(v any) dbus.Variant { return dbus.MakeVariant(v) }
		result, err := runJob(ctx, conn, systemdManager+".StartTransientUnit", name, "fail", []property{
			{"Description", value(description)},
			{"PIDs", value([]uint32{uint32(os.Getpid())})},
			{"CollectMode", value("inactive-or-failed")},
			// At shutdown it first locks what it has to.
			{"TimeoutStopUSec", value(uint64((10 * time.Second).Microseconds()))},
		}, []auxiliary{})
		if err != nil || result == "done" {
			return err
		}
		return fmt.Errorf("the start of %s ended (%s)", name, result)
	})
}
