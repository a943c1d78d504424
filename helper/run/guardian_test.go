package run

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// A guardian that is killed is replaced, and the command goes on.
func TestAGuardianThatIsKilledIsReplaced(t *testing.T) {
	f := newFixture(t)
	for _, systemWide := range []bool{false, true} {
		f.set(setup{SystemWide: systemWide})
		cmd := f.start(`echo ready; read line; echo $line >$ROOT/late`)
		before := f.state()
		for range 3 {
			killed := f.guardian()
			unix.Kill(killed, unix.SIGKILL)
			f.await("another guardian", 10*time.Second, func() bool {
				return f.guardian() != killed && len(f.status().Runs) == 1
			})
			f.expect("with another guardian", before)
		}
		io.WriteString(f.stdin, "line\n")
		if code, end := f.run(cmd); code != 0 || end.Err != "" {
			t.Errorf("system-wide %v: exit code %d, %+v", systemWide, code, end)
		}
		f.expect("afterwards", helper.Locked)
	}
}

// In a machine that is about to go off no command begins. And who has the machine go off
// when a command has ended is not refused because of it.
func TestTheMachineWaitsAsLongAsItMust(t *testing.T) {
	f := newFixture(t)
	f.set(setup{GoingOff: true})
	code, end := f.run(f.shell("touch $ROOT/file"))
	if want := "cannot run the command: " + helper.ErrGoingOff.Error(); code != helper.ExitFailed || end.Err != want {
		t.Errorf("going off: exit code %d, %+v, want %d and %q", code, end, helper.ExitFailed, want)
	}
	f.expect("going off", helper.Locked)
	for _, systemWide := range []bool{false, true} {
		f.set(setup{SystemWide: systemWide})
		os.Remove(filepath.Join(f.Dir, releasedName))
		if code, end := f.run(f.shell("touch $ROOT/file")); code != 0 || end.Err != "" || end.Waits {
			t.Errorf("system-wide %v: exit code %d, %+v, want 0, and no waiting any longer", systemWide, code, end)
		}
	}
}

// The grant of a guardian that is killed before the command begins is ended, and
// the command is not run.
func TestAGuardianThatIsKilledAtOnce(t *testing.T) {
	for answers := range 2 {
		f := newFixture(t)
		f.set(setup{Deaths: 2, LastAnswer: answers})
		code, end := f.run(f.shell("touch $ROOT/file"))
		if want := "cannot run the command: " + helper.ErrNoGuardian.Error(); code != helper.ExitFailed || end.Err != want {
			t.Errorf("after %d answers: exit code %d, %+v, want %d and %q", answers, code, end, helper.ExitFailed, want)
		}
		if _, err := os.Stat(filepath.Join(f.Dir, "died.1")); err != nil {
			t.Errorf("after %d answers: not every guardian was killed: %v", answers, err)
		}
		f.expect("afterwards", helper.Locked)
	}
}

// It locks at shutdown, whatever the command does.
func TestAGuardianThatIsAskedToEnd(t *testing.T) {
	f := newFixture(t)
	cmd := f.start(`echo ready; read line; echo $line >$ROOT/late`)
	unix.Kill(f.guardian(), unix.SIGTERM)
	f.await("locked", time.Second, f.isLocked)
	io.WriteString(f.stdin, "line\n")
	cmd.Stderr = nil
	if code, end := f.run(cmd); code != 2 || end.Err != "" {
		t.Errorf("exit code %d, %+v", code, end)
	}
	f.expect("afterwards", helper.Locked)
}

// Without a bus, as in rescue mode, it does its work without a scope.
func TestAGuardianThatCannotLeave(t *testing.T) {
	f := newFixture(t)
	f.set(setup{InReach: "no bus"})
	code, end := f.run(f.shell("touch $ROOT/file"))
	if code != 0 || end.Result == nil || len(end.Result.Notices) != 1 || end.Result.Notices[0] != "no bus" {
		t.Errorf("exit code %d, %+v", code, end.Result)
	}
	f.expect("afterwards", helper.Locked)
}

// What the command leaves behind with a file open is named, and neither waited for nor
// stopped.
func TestAProcessLeftBehind(t *testing.T) {
	f := newFixture(t)
	cmd := f.start(`(trap '' TERM; exec 3>$ROOT/left; echo ready; exec 2>/dev/null >&-; read line <$FIFO; echo done >&3; touch $ROOT/new; echo $? >&3) & read line`)
	f.stdin.Close()
	code, end := f.run(cmd)
	if code != 1 || end.Result == nil || end.Result.Outcome != helper.Done || len(end.Result.Notices) != 1 {
		t.Fatalf("exit code %d, %+v", code, end.Result)
	}
	notice := end.Result.Notices[0]
	if !strings.HasPrefix(notice, `"sh" (pid `) || !strings.HasSuffix(notice, `"`+f.Root+`/left") has files open for writing on "`+f.Root+`": it can go on writing to them, and may crash if they are mapped into memory`) {
		t.Errorf("notice %q", notice)
	}
	f.expect("left behind", helper.Locked)
	// It goes on. With the next command it would have write access again: there is none.
	if _, refused := f.run(f.shell("true")); !strings.Contains(refused.Err, `"sh" (pid `) {
		t.Errorf("beside a process that was left behind: %+v, want it named", refused)
	}
	if err := os.WriteFile(filepath.Join(f.Dir, "fifo"), []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.await("what was left behind", 10*time.Second, func() bool {
		data, _ := os.ReadFile(f.Root + "/left")
		return string(data) == "done\n1\n" && !hasProcess("sh")
	})
	next := f.start(`echo ready; read line`)
	f.stdin.Close()
	f.run(next)
	f.expect("in the end", helper.Locked)
}

// One that holds nothing open gets no write access with the next command.
func TestAQuietProcessLeftBehind(t *testing.T) {
	f := newFixture(t)
	left := filepath.Join(f.Root, "home", "rrs", "left")
	f.run(f.shell(`(trap '' TERM; read line <$FIFO; touch $ROOT/new; echo $? >` + left + `) 2>/dev/null >&- &`))
	f.expect("left behind", helper.Locked)
	next := f.start(`echo ready; read line`)
	if err := os.WriteFile(filepath.Join(f.Dir, "fifo"), []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.await("what was left behind", 10*time.Second, func() bool {
		data, _ := os.ReadFile(left)
		return string(data) == "1\n"
	})
	f.stdin.Close()
	f.run(next)
	f.expect("in the end", helper.Locked)
}

func TestSystemWide(t *testing.T) {
	f := newFixture(t)
	f.set(setup{SystemWide: true, Reason: "new kernel"})
	cmd := f.start(`echo ready; read line`)
	f.expect("at work", helper.Unlocked)
	if s := f.status(); s.Window == nil || len(s.Runs) != 1 || !s.Runs[0].SystemWide {
		t.Errorf("at work: %+v", s)
	}
	f.stdin.Close()
	if code, end := f.run(cmd); code != 1 || end.Err != "" || end.Result.Outcome != helper.Done {
		t.Errorf("exit code %d, %+v", code, end)
	}
	f.expect("afterwards", helper.Locked)

	cmd = f.start(`echo ready; read line`)
	cmd.Process.Kill()
	f.await("locked after SIGKILL", time.Second, f.isLocked)
	cmd.Wait()
}

// Somebody else's window is not ended by the end of a command.
func TestSystemWideAndAnotherWindow(t *testing.T) {
	f := newFixture(t)
	f.set(setup{SystemWide: true})
	cmd := f.start(`echo ready; read line`)
	f.must(helper.Unlock)
	f.stdin.Close()
	if _, end := f.run(cmd); len(end.Result.Notices) != 1 || end.Result.Notices[0] != "not locked: rrs has set another time since" {
		t.Errorf("end = %+v", end.Result)
	}
	f.expect("afterwards", helper.Unlocked)
}

// The lock at its end is tried again until it is done.
func TestSystemWideAndAWriter(t *testing.T) {
	f := newFixture(t)
	f.set(setup{SystemWide: true})
	cmd := f.start(`echo ready; read line`)
	file, err := os.Create(f.Root + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f.stdin.Close()
	if code, end := f.run(cmd); code != 1 || end.Result.Outcome != helper.Blocked || len(end.Result.Writers) != 1 {
		t.Errorf("exit code %d, %+v", code, end.Result)
	}
	if s := f.status().State; s != helper.Unlocked {
		t.Errorf("blocked: %s", s)
	}
	file.Close()
	f.await("locked", 20*time.Second, f.isLocked)
}
