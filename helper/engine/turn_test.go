package engine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// First come, first served, but who forces goes first, and whoever is dead holds up nobody.
func TestTurns(t *testing.T) {
	f := newFixture(t)
	l, err := openLine(f.State)
	if err != nil {
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
			waiting, _ := filepath.Glob(filepath.Join(l.dir, "*"))
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
	if left, _ := filepath.Glob(filepath.Join(l.dir, "*")); len(left) > 0 {
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

// Who is stopped with the turn, or as the first in line, holds up nobody. Who only takes
// long is waited for.
func TestWhoIsStoppedHoldsUpNobody(t *testing.T) {
	for _, role := range []string{"has the turn", "waits in line"} {
		t.Run(role, func(t *testing.T) {
			f := newFixture(t)
			path := f.State
			if role == "has the turn" {
				path = filepath.Join(f.State, "lock")
			}
			f.must(helper.Lock)
			holder := f.start(role, path)
			inTurn := func(patience time.Duration) error {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				return f.engine.inTurn(ctx, func() error { return nil })
			}
			if err := inTurn(3 * stoppedEvery); err == nil {
				t.Error("it was not waited for who takes long")
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

// lockLike has a flock on one file and another open; perl's own open would ask for that
// one's attributes.
const lockLike = `
use POSIX;
open my $l, "+<", $ARGV[0] or die;
flock $l, 2 or die;
defined POSIX::open($ARGV[1], O_RDWR) or die;
$| = 1;
print "ready\n";
<STDIN>;
`

// Anybody can lock a file of the same number as that of the turn, on a file system of his
// own, and be stopped: that one is left alone, and has nobody wait who waits for the turn.
func TestWhoIsStoppedElsewhereHoldsUpNobody(t *testing.T) {
	lab.Require(t, "perl:perl-base")
	f := newFixture(t)
	server := t.TempDir()
	hung := lab.MountHungServer(t, server)
	var files []*os.File
	for range 2 {
		dir := lab.Dir(t)
		f.command("mount", "-t", "tmpfs", "none", dir)
		t.Cleanup(func() { f.command("umount", "--lazy", dir) })
		file, err := os.Create(filepath.Join(dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}
	turn := files[0]
	cmd := exec.Command("perl", "-e", lockLike, files[1].Name(), filepath.Join(server, "file"))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		hung.Release(t) // for which its end waits
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("it says %q: %v", line, err)
	}
	if err := unix.Kill(cmd.Process.Pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	isStopped := func() bool {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		return strings.Contains(string(status), "\nState:\tT")
	}
	await(t, "the process to stop", isStopped)
	if !hasFlock(cmd.Process.Pid, turn) {
		t.Fatal("its lock is not on a file of that number")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		line{f.State}.endStopped(turn)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("the look for who has the turn hangs")
	}
	if !isStopped() {
		t.Error("the process was ended")
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
