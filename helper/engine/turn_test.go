package engine

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// First come, first served, but a lock by force is first, and a dead process delays none.
func TestTurns(t *testing.T) {
	f := newFixture(t)
	l := lineOf(f.State)
	if err := l.Make(); err != nil {
		t.Fatal(err)
	}
	dead, err := l.enter(urgent)
	if err != nil {
		t.Fatal(err)
	}
	dead.Close() // as the kernel does for a process that is killed

	var mu sync.Mutex
	var served []int
	var all sync.WaitGroup
	begun, release := make(chan struct{}), make(chan struct{})
	ask := func(n int, rank string) {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := f.engine.inTurnOf(context.Background(), rank, func() error {
				mu.Lock()
				defer mu.Unlock()
				served = append(served, n)
				if n == 0 {
					close(begun)
					<-release
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}()
		for n > 0 {
			waiting, _ := filepath.Glob(filepath.Join(l.Path, "*"))
			if len(waiting) >= n {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	ask(0, ordinary)
	<-begun
	for n := 1; n <= 6; n++ {
		ask(n, ordinary)
	}
	ask(7, urgent)
	close(release)
	all.Wait()
	if want := []int{0, 7, 1, 2, 3, 4, 5, 6}; !slices.Equal(served, want) {
		t.Errorf("served %v, want %v", served, want)
	}
	if left, _ := filepath.Glob(filepath.Join(l.Path, "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Nor does a lock that waits for writers keep one by force waiting, whatever the drain time.
func TestForceGoesFirst(t *testing.T) {
	f := newFixture(t)
	f.engine.Config.Drain = 5 * time.Minute
	forcing := *f.engine // another process in real life
	forcing.Config.Drain = 100 * time.Millisecond
	writer := f.start("writes", filepath.Join(f.Root, "file"))
	defer writer.stop()
	blocked := make(chan *helper.Result)
	go func() { blocked <- f.run(helper.Lock) }()
	await(t, "the turn of the lock", func() bool {
		turn, err := os.Open(filepath.Join(f.State, "lock"))
		if err != nil {
			return false
		}
		defer turn.Close()
		return unix.Flock(int(turn.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
	})
	began := time.Now()
	r := forcing.Run(context.Background(), helper.Request{Verb: helper.LockForce, ID: "force"})
	if took := time.Since(began); r.Outcome != helper.Done || took > 30*time.Second {
		t.Errorf("by force: %s %s, after %v", r.Outcome, r.Error, took)
	}
	if r := <-blocked; r.Outcome != helper.Blocked {
		t.Errorf("the lock that waited: %s %s", r.Outcome, r.Error)
	}
}

// A process that is stopped while it has the turn, or as the first in line, delays no other.
// One that only takes long is waited for.
func TestAStoppedProcessDelaysNone(t *testing.T) {
	for _, role := range []string{"has the turn", "waits in line"} {
		t.Run(role, func(t *testing.T) {
			f := newFixture(t)
			f.must(helper.Lock)
			holder := f.start(role, f.State)
			inTurn := func(timeout time.Duration) error {
				ctx, cancel := context.WithTimeout(context.Background(), timeout)
				defer cancel()
				return f.engine.inTurn(ctx, func() error { return nil })
			}
			if err := inTurn(3 * stoppedEvery); err == nil {
				t.Error("a process that takes long was not waited for")
			}
			if err := unix.Kill(holder.pid(), unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if err := inTurn(20 * time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}
