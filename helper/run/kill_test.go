package run

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

func itoa(n int) string { return strconv.Itoa(n) }

// A prober is another process' view: it tries to write all the time, and must not
// succeed.
type prober struct {
	stop  chan struct{}
	wait  sync.WaitGroup
	tries int
}

func (f *fixture) probe() *prober {
	p := &prober{stop: make(chan struct{})}
	existing := filepath.Join(f.Etc, "probed")
	p.wait.Add(1)
	go func() {
		defer p.wait.Done()
		for {
			select {
			case <-p.stop:
				return
			default:
			}
			p.tries++
			for _, dir := range f.Protected() {
				if err := f.Writable(dir); !errors.Is(err, unix.EROFS) {
					f.t.Errorf("somebody else could write: creating a file gives %v", err)
				}
			}
			if file, err := os.OpenFile(existing, os.O_WRONLY, 0); !errors.Is(err, unix.EROFS) {
				f.t.Errorf("somebody else could write: opening a file gives %v", err)
				file.Close()
			}
		}
	}()
	f.t.Cleanup(p.end)
	return p
}

func (p *prober) end() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.wait.Wait()
}

// Killed at random moments, the runner alone, the command alone or all of the runner's
// process group, leaves the system locked within a second; and no other program could write
// at any time.
func TestKilledAtRandomMoments(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Unlock)
	if err := os.WriteFile(filepath.Join(f.Etc, "probed"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.must(helper.Lock)
	p := f.probe()
	atWork, slowest := 0, time.Duration(0)
	for i := range 100 {
		cmd := f.shell(`while :; do echo x >$ROOT/file; echo x >>$ETC/file; done`)
		cmd.Stderr = nil // what the shell says when it can't write any more
		cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// A part of them before the command has begun, the others when it runs.
		if i%4 != 0 {
			f.await("at work", 30*time.Second, func() bool { return !f.isLocked() })
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) // the random moment
		if !f.isLocked() {
			atWork++
		}
		switch i % 3 {
		case 0:
			cmd.Process.Kill()
		case 1:
			unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		case 2:
			f.await("the command", 30*time.Second, func() bool { return killCommand(cmd.Process.Pid) })
		}
		killed := time.Now()
		// One that was killed before it had begun its guardian must not begin it later.
		quiet := func() bool { return f.isLocked() && len(f.status().Runs) == 0 }
		f.await("locked", time.Second, quiet)
		slowest = max(slowest, time.Since(killed))
		cmd.Wait()
		unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		f.await("locked in the end", time.Second, quiet)
	}
	p.end()
	t.Logf("%d of 100 were at work, the slowest was locked after %v; %d probes", atWork, slowest, p.tries)
	if atWork < 50 {
		t.Errorf("only %d of 100 were at work when they were killed", atWork)
	}
	f.expect("in the end", helper.Locked)
}

// killCommand kills the command, not the guardian, and reports whether there was one.
func killCommand(pid int) (killed bool) {
	threads, _ := filepath.Glob("/proc/" + itoa(pid) + "/task/*/children")
	for _, file := range threads {
		data, _ := os.ReadFile(file)
		for _, child := range strings.Fields(string(data)) {
			name, _ := os.ReadFile("/proc/" + child + "/comm")
			if pid, err := strconv.Atoi(child); err == nil && string(name) == "sh\n" {
				killed = unix.Kill(pid, unix.SIGKILL) == nil
			}
		}
	}
	return killed
}

// A runner that is stopped does not keep write access beyond the end of its command.
func TestAStoppedRunner(t *testing.T) {
	f := newFixture(t)
	for _, systemWide := range []bool{false, true} {
		f.set(setup{SystemWide: systemWide})
		cmd := f.start(`echo ready; read line; exit 3`)
		f.command("kill", "-STOP", itoa(cmd.Process.Pid))
		f.stdin.Close()
		ended := time.Now()
		// Mostly at once; later if it was stopped before it could tell of its command.
		f.await("locked", 20*time.Second, f.isLocked)
		t.Logf("system-wide %v: locked %v after the end of the command", systemWide, time.Since(ended))
		f.command("kill", "-CONT", itoa(cmd.Process.Pid))
		if code, end := f.run(cmd); code != 3 || end.Err != "" || end.Result == nil || end.Result.Outcome != helper.Done {
			t.Errorf("system-wide %v: exit code %d, %+v", systemWide, code, end)
		}
		f.expect("in the end", helper.Locked)
	}
}

// Nor one that is stopped before its command has begun.
func TestARunnerThatIsStoppedAtOnce(t *testing.T) {
	f := newFixture(t)
	f.set(setup{StopRunner: true})
	cmd := f.shell("touch $ROOT/file")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.await("the grant", 30*time.Second, func() bool { return !f.isLocked() })
	f.await("locked", 20*time.Second, f.isLocked)
	f.command("kill", "-CONT", itoa(cmd.Process.Pid))
	cmd.Stderr = nil
	if code, _ := f.run(cmd); code == 0 {
		t.Error("the command could write")
	}
	f.expect("in the end", helper.Locked)
}

// When runner and guardian are dead, the next of Immutray's processes that runs ends the grant.
func TestReclaim(t *testing.T) {
	f := newFixture(t)
	for _, systemWide := range []bool{false, true} {
		for _, stopped := range []bool{false, true} {
			f.set(setup{SystemWide: systemWide})
			cmd := f.start(`trap '' TERM; echo ready; exec sleep 60 >&-`)
			f.signal(unix.SIGSTOP, cmd.Process.Pid)
			if stopped {
				f.signal(unix.SIGSTOP, f.guardian())
			} else {
				f.signal(unix.SIGKILL, f.guardian())
				cmd.Process.Kill()
				cmd.Wait()
			}
			if r := f.engine.Reclaim(t.Context()); r == nil || r.Outcome != helper.Done {
				t.Errorf("Reclaim() = %+v", r)
			}
			f.expect("taken back", helper.Locked)
			if r := f.engine.Reclaim(t.Context()); r != nil {
				t.Errorf("Reclaim() of nothing = %+v", r)
			}
			if stopped {
				cmd.Process.Kill()
				cmd.Wait()
			}
			f.command("pkill", "-KILL", "-x", "sleep")
		}
	}
}

// A window that a person has opened is not the command's.
func TestReclaimLeavesAWindow(t *testing.T) {
	f := newFixture(t)
	f.set(setup{SystemWide: true})
	cmd := f.start(`echo ready; exec sleep 60 >&-`)
	f.must(helper.Unlock)
	f.signal(unix.SIGSTOP, cmd.Process.Pid)
	f.signal(unix.SIGKILL, f.guardian())
	cmd.Process.Kill()
	cmd.Wait()
	if r := f.engine.Reclaim(t.Context()); r == nil || r.Outcome != helper.Done {
		t.Errorf("Reclaim() = %+v", r)
	}
	f.expect("somebody has unlocked", helper.Unlocked)
	f.must(helper.Lock)
}
