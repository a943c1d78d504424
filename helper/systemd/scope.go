package systemd

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
)

const (
	// reclaimPrefix begins the instances of immutray-reclaim@.service, which ends the write
	// access of commands whose guardian is gone.
	reclaimPrefix = "immutray-reclaim@"
	// reclaimEvery is how often PID 1 starts it.
	reclaimEvery = 10 * time.Second
)

// LeaveCgroup moves this process, where PID 1 is systemd, from its caller's cgroup into a
// scope of its own, so that it is not killed or frozen with the caller. While the process
// lives, PID 1 starts immutray-reclaim@.service every few seconds, which checks that it
// still does its work; and once more when it has ended, however it has ended.
func LeaveCgroup(ctx context.Context) error {
	// Nor must it be killed when memory runs out. It is so small that this would gain
	// nothing.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	if !Booted() {
		return nil
	}
	if err := PID1(nil).leaveCgroup(ctx, os.Getpid()); err != nil {
		return fmt.Errorf("cannot leave the caller's cgroup: %w", err)
	}
	return nil
}

func (m Manager) leaveCgroup(ctx context.Context, pid int) error {
	instance := strconv.Itoa(pid)
	scope, timer := "immutray-run-"+instance+".scope", reclaimPrefix+instance+".timer"
	return m.bounded(ctx, func(ctx context.Context, c *conn) error {
		return c.startTransient(ctx, scope, scopeProperties(pid, timer),
			sd.PropertyCollection{Name: timer, Properties: reclaimProperties(scope)})
	})
}

func scopeProperties(pid int, timer string) []sd.Property {
	// It is not the service of the timer: to start that while it runs would do nothing.
	atEnd := []string{reclaimPrefix + "end-" + strconv.Itoa(pid) + ".service"}
	return []sd.Property{
		sd.PropDescription("Lock the operating system when a command has ended"),
		sd.PropPids(uint32(pid)),
		set("CollectMode", "inactive-or-failed"),
		// At shutdown the process first locks what it has to.
		set("TimeoutStopUSec", uint64((10 * time.Second).Microseconds())),
		set("OnSuccess", atEnd),
		set("OnFailure", atEnd),
		sd.PropWants(timer),
	}
}

func reclaimProperties(scope string) []sd.Property {
	every := uint64(reclaimEvery.Microseconds())
	return append(untilTheEnd(),
		sd.PropDescription("Check that a command's write access has ended with it"),
		// It ends with the scope.
		sd.PropBindsTo(scope),
		sd.PropAfter(scope),
		set("AccuracyUSec", uint64(time.Second.Microseconds())),
		set("TimersMonotonic", []monotonicTimer{{"OnActiveSec", every}, {"OnUnitInactiveSec", every}}),
	)
}
