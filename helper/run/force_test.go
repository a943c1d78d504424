package run

import (
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/run/records"
)

// A lock by force takes the write access from a command, and nothing gives it back: no
// other guardian, no other command.
func TestForceEndsAGrant(t *testing.T) {
	f := newFixture(t)
	cmd := f.start(`touch $ETC/before || exit 9; echo ready; while read line; do touch $ETC/late && exit 8; done; exit 7`)
	cmd.Stderr = nil // touch says what is expected
	r := f.ask(helper.LockForce)
	if want := `"sh" (pid ` + itoa(cmd.Process.Pid) + `) can no longer write`; r.Outcome != helper.Done || len(r.Notices) != 1 || r.Notices[0] != want {
		t.Fatalf("lock-force = %s: %s, %q", r.Outcome, r.Error, r.Notices)
	}
	f.expect("by force", helper.Locked)
	if s := f.status(); len(s.Runs) > 0 {
		t.Errorf("a command that can't write is shown: %+v", s.Runs)
	}
	f.must(helper.Lock)

	killed := f.guardian()
	unix.Kill(killed, unix.SIGKILL)
	f.await("another guardian", 10*time.Second, func() bool {
		atWork, _ := records.List(f.State)
		return f.guardian() != killed && len(atWork) == 1
	})
	f.expect("with another guardian", helper.Locked)
	code, end := f.run(f.shell("true"))
	if want := ` is still running after a lock by force took its write access`; code != helper.ExitFailed || !strings.HasSuffix(end.Err, want) {
		t.Errorf("another command: exit code %d, %q", code, end.Err)
	}
	io.WriteString(f.stdin, "try\n")
	f.stdin.Close()
	if code, end := f.run(cmd); code != 7 || end.Err != "" || end.Result.Outcome != helper.Done {
		t.Errorf("exit code %d, %+v", code, end)
	}
	f.expect("in the end", helper.Locked)
	if code, _ := f.run(f.shell("touch $ETC/file")); code != 0 {
		t.Errorf("the next command: exit code %d", code)
	}
}

// The command can write to its end to what it has open, and the result of the lock says so.
func TestForceNamesWhatACommandHasOpen(t *testing.T) {
	f := newFixture(t)
	cmd := f.start(`exec 3>$ROOT/open; echo ready; read line; echo more >&3`)
	r := f.ask(helper.LockForce)
	if r.Outcome != helper.Done || len(r.Writers) != 1 || r.Writers[0].Path != f.Root+"/open" || len(r.Notices) != 2 {
		t.Errorf("lock-force = %s: %s, %+v, %q", r.Outcome, r.Error, r.Writers, r.Notices)
	}
	f.expect("by force", helper.Locked)
	f.stdin.Close()
	if code, end := f.run(cmd); code != 0 || end.Result.Outcome != helper.Done {
		t.Errorf("exit code %d, %+v", code, end)
	}
	f.expect("in the end", helper.Locked)
}

// By force the window beside a command is ended with it.
func TestForceEndsAWindowBesideACommand(t *testing.T) {
	f := newFixture(t)
	cmd := f.start(`echo ready; read line; touch $ETC/late`)
	f.must(helper.Unlock)
	if r := f.ask(helper.LockForce); r.Outcome != helper.Done {
		t.Errorf("lock-force = %s: %s", r.Outcome, r.Error)
	}
	f.expect("by force", helper.Locked)
	f.stdin.Close()
	cmd.Stderr = nil
	if code, _ := f.run(cmd); code != 1 {
		t.Errorf("exit code %d, want that of a touch that fails", code)
	}
	f.expect("in the end", helper.Locked)
}
