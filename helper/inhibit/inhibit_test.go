package inhibit

import (
	"context"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"immutray.org/helper"
)

// While the system is unlocked, the machine waits as long as a package manager runs, whether
// that ends or only gives up its lock; it is free at once when that has ended. The watch
// ends when the system has been locked for a while.
func TestWhileUnlocked(t *testing.T) {
	var locked atomic.Bool
	var holder atomic.Pointer[helper.Busy]
	var waits atomic.Int32
	named := make(chan string, 8)
	w := &watch{
		locked:  locked.Load,
		running: holder.Load,
		inhibit: func(_ context.Context, program string) (func(), error) {
			named <- program
			waits.Add(1)
			return func() { waits.Add(-1) }, nil
		},
		idle: time.Millisecond, busy: time.Hour, // so that only the end of a process counts
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		w.untilLocked(t.Context())
	}()
	await := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the machine waits for %d", what, waits.Load())
			}
		}
	}
	apt := exec.Command("cat")
	in, err := apt.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := apt.Start(); err != nil {
		t.Fatal(err)
	}
	holder.Store(&helper.Busy{Manager: "dpkg", PID: apt.Process.Pid, Program: "apt-get"})
	await("running", func() bool { return waits.Load() == 1 })
	holder.Store(nil)
	in.Close()
	if err := apt.Wait(); err != nil {
		t.Fatal(err)
	}
	await("ended", func() bool { return waits.Load() == 0 })
	select {
	case <-returned:
		t.Fatal("gone while the system is unlocked")
	default:
	}
	locked.Store(true)
	select {
	case <-returned:
	case <-time.After(time.Minute):
		t.Fatal("still there after the lock")
	}

	// One that gives up its lock and goes on, and whose process is not known.
	locked.Store(false)
	w.busy = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	holder.Store(&helper.Busy{Manager: "pacman"})
	again := make(chan struct{})
	go func() {
		defer close(again)
		w.untilLocked(ctx)
	}()
	await("pacman is running", func() bool { return waits.Load() == 1 })
	holder.Store(nil)
	await("pacman has ended", func() bool { return waits.Load() == 0 })
	holder.Store(&helper.Busy{Manager: "pacman"})
	await("pacman is running again", func() bool { return waits.Load() == 1 })
	cancel()
	<-again
	if waits.Load() != 0 {
		t.Error("the machine waits after the end of the unit")
	}
	close(named)
	var all []string
	for name := range named {
		all = append(all, name)
	}
	if want := []string{"apt-get", "pacman", "pacman"}; !slices.Equal(all, want) {
		t.Errorf("it waited for %q, want %q", all, want)
	}
}

func TestReason(t *testing.T) {
	run := helper.Run{Command: []string{"/usr/bin/apt", "--password=x"}}
	if got, want := changing(run.Program()), `"apt" is changing the operating system`; got != want {
		t.Errorf("logind shows %q, want %q", got, want)
	}
}
