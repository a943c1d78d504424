package engine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/journal"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/run/records"
	"immutray.org/helper/statedir"
)

// grant begins a grant on a locked system.
func (f *fixture) grant(run helper.Run) *Grant {
	f.t.Helper()
	f.must(helper.Lock)
	if err := f.CloseTop(); err != nil {
		f.t.Fatal(err)
	}
	run.ID, run.User, run.Command = "run", "root", []string{"/usr/bin/apt", "up\tgrade"}
	grant, r := f.engine.Grant(context.Background(), run)
	if grant == nil {
		f.t.Fatalf("no grant: %s: %s", r.Outcome, r.Error)
	}
	return grant
}

func (f *fixture) giveBack(l *Grant) {
	f.t.Helper()
	if r := l.End(context.Background(), nil); r.Outcome != helper.Done {
		f.t.Errorf("return: %s: %s", r.Outcome, r.Error)
	}
	f.expect("returned", helper.Locked)
	if got := helper.OverallState(f.status().Paths); got != helper.Locked {
		f.t.Errorf("returned, and the paths are %s", got)
	}
}

// What is locked for all but a command is locked: no occasion, no timer and no seal takes
// away from the command what it is changing.
func TestUnattendedLocksLeaveAGrant(t *testing.T) {
	f := newFixture(t)
	grant := f.grant(helper.Run{})
	for _, r := range []helper.Request{
		{Verb: helper.Lock, ID: "sleep", On: helper.Sleep},
		{Verb: helper.Lock, ID: "timer", Due: true},
		{Verb: helper.Seal, ID: "seal"},
	} {
		if got := f.ask(r); got.Outcome != helper.Done || got.Status.State != helper.Locked || len(got.Notices) == 0 {
			t.Errorf("%s: %s: %s %q", r.ID, got.Outcome, got.Error, got.Notices)
		}
		s := f.status()
		if s.State != helper.Locked || len(s.Runs) != 1 || !slices.ContainsFunc(s.Paths, s.Granted) {
			t.Errorf("%s: the grant is gone: %+v", r.ID, s)
		}
	}
	f.giveBack(grant)
}

// The end of a window that was opened beside a command waits for it, and everybody can
// read that.
func TestTheEndOfAWindowWaitsForACommand(t *testing.T) {
	f := newTimedFixture(t)
	grant := f.grant(helper.Run{PID: 4711})
	f.unlock(helper.Request{For: time.Minute})
	f.pass(time.Minute)
	for _, r := range []*helper.Result{f.due(), f.run(helper.Lock)} {
		want := helper.Busy{Manager: helper.RunManager, PID: 4711, Program: "apt"}
		o := f.status().Overdue
		if r.Outcome != helper.PackageManager || r.Busy == nil || *r.Busy != want || o == nil || o.Busy == nil || *o.Busy != want {
			t.Errorf("lock: %s: %s, overdue is %+v", r.Outcome, r.Error, o)
		}
	}
	if r := grant.End(context.Background(), nil); r.Outcome != helper.Done || len(r.Notices) == 0 {
		t.Errorf("return: %s: %s %q", r.Outcome, r.Error, r.Notices)
	}
	f.expect("returned", helper.Unlocked)
	if r := f.due(); r.Outcome != helper.Done || f.status().Overdue != nil {
		t.Errorf("after the command: %s, overdue is %+v", r.Outcome, f.status().Overdue)
	}
	f.expect("after the command", helper.Locked)
}

// A window that is opened beside a command, and fails half way, leaves the grant as it was.
func TestAFailedUnlockLeavesAGrant(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Unlock)
	writeFile(t, f.Etc+"/large", strings.Repeat("x", 4<<20)) // more than fits into a pipe
	f.must(helper.Lock)
	// A subvolume that is sent must stay as it is: its property can't be cleared.
	sender := exec.Command("btrfs", "send", f.Etc)
	out, err := sender.StdoutPipe()
	if err == nil {
		err = sender.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Wait()
	defer sender.Process.Kill()
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	root, etc := f.engine.Config, f.engine.Config
	root.Paths = root.Paths[:1]
	f.engine.Config = root
	grant := f.grant(helper.Run{})
	f.engine.Config = etc
	if r := f.run(helper.Unlock); r.Outcome != helper.Failed {
		t.Errorf("unlock: %s", r.Outcome)
	}
	if s := f.status(); !s.Granted(s.Paths[0]) || s.Paths[1].State != helper.Locked {
		t.Errorf("after a failed unlock: %+v", s)
	}
	f.giveBack(grant)
}

// Closed by hand, half a window beside a command is closed with it.
func TestWhatWasUnlockedAtTheStartAndIsClosedByHand(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Lock)
	f.command("mount", "-o", "remount,bind,rw", f.Root)
	f.command("btrfs", "property", "set", f.Root, "ro", "false")
	f.CloseTop()
	grant, r := f.engine.Grant(context.Background(), helper.Run{ID: "run", Command: []string{"apt"}})
	if grant == nil {
		t.Fatalf("no grant: %s: %s", r.Outcome, r.Error)
	}
	f.command("mount", "-o", "remount,bind,ro", f.Root)
	f.giveBack(grant)
}

// In the journal a command is as it was typed, with nothing that a terminal acts on. A
// system-wide one has the records of its unlock and its lock alone.
func TestRecordsOfACommand(t *testing.T) {
	f := newFixture(t)
	var records []journal.Entry
	f.engine.Journal = func(e journal.Entry) {
		if e.Fields[journal.Verb] == string(helper.RunCommand) {
			records = append(records, e)
		}
	}
	f.engine.Config.LogCommandLines = true
	f.giveBack(f.grant(helper.Run{Reason: "new kernel", Since: time.Now()}))
	if len(records) != 2 || records[0].MessageID != MessageIntent || records[1].MessageID != MessageOutcome {
		t.Fatalf("records %+v, want the intent and the outcome", records)
	}
	for i, want := range []map[string]string{
		{"IMMUTRAY_CAUSE": "person", "IMMUTRAY_COMMAND": `/usr/bin/apt "up\tgrade"`, "IMMUTRAY_REASON": "new kernel", "IMMUTRAY_REQUEST": "run", "IMMUTRAY_STATE": ""},
		{"IMMUTRAY_OUTCOME": "done", "IMMUTRAY_COMMAND": `/usr/bin/apt "up\tgrade"`, "IMMUTRAY_STATE": "locked", "IMMUTRAY_REQUEST": "run"},
	} {
		for field, value := range want {
			if got := records[i].Fields[field]; got != value {
				t.Errorf("record %d: %s=%q, want %q", i, field, got, value)
			}
		}
	}
	records = nil
	f.giveBack(f.grant(helper.Run{SystemWide: true}))
	if len(records) > 0 {
		t.Errorf("records of a system-wide command: %+v", records)
	}
}

// The end of a command does not write the state file, whether it had its turn or not: a
// window that is opened at the same time stays, with its end.
func TestTheEndOfACommandLeavesTheState(t *testing.T) {
	f := newTimedFixture(t)
	file := filepath.Join(f.State, statedir.StateFile)
	for _, inTurn := range []bool{true, false} {
		grant := f.grant(helper.Run{})
		f.unlock(helper.Request{For: time.Minute})
		before, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		giveUp := func() {}
		if !inTurn {
			turn, err := os.OpenFile(filepath.Join(f.State, "lock"), os.O_RDWR, 0)
			if err == nil {
				err = unix.Flock(int(turn.Fd()), unix.LOCK_EX)
			}
			if err != nil {
				t.Fatal(err)
			}
			giveUp = func() { turn.Close() }
		}
		looked := make(chan struct{}, 100)
		ctx, stop := context.WithCancel(t.Context())
		watched := make(chan error, 1)
		go func() {
			watched <- (&lockstate.Reader{Paths: f.Protected(), StateDir: f.State}).Watch(ctx, func(s helper.Status) {
				if len(s.Runs) == 0 {
					looked <- struct{}{}
				}
			})
		}()
		if r := grant.End(context.Background(), nil); r.Outcome != helper.Done {
			t.Errorf("return: %s: %s", r.Outcome, r.Error)
		}
		giveUp()
		select {
		case <-looked:
		case <-time.After(30 * time.Second):
			t.Error("who watches the state does not look again")
		}
		stop()
		if err := <-watched; err != nil {
			t.Error(err)
		}
		if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("in its turn %v: the state was written: %v", inTurn, err)
		}
		f.pass(time.Minute)
		if r := f.due(); r.Outcome != helper.Done {
			t.Errorf("at the end of the window: %s: %s", r.Outcome, r.Error)
		}
		f.expect("at the end of the window", helper.Locked)
	}
}

// The window of a system-wide command is closed also when its guardian is killed in the
// moment between the end of the command and the lock.
func TestASystemWideCommandThatNobodyLocksAfter(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Lock)
	run := helper.Run{ID: "whole", SystemWide: true, Command: []string{"true"}}
	grant, result := f.engine.Grant(context.Background(), run)
	if grant == nil {
		t.Fatalf("Grant() = %s: %s", result.Outcome, result.Error)
	}
	r := f.engine.Run(context.Background(), helper.Request{Verb: helper.Unlock, UntilLocked: true, Reason: records.WindowReason(run)})
	if r.Outcome != helper.Done {
		t.Fatalf("unlock: %s: %s", r.Outcome, r.Error)
	}
	grant.End(context.Background(), nil)
	f.expect("before the lock", helper.Unlocked)
	if r := f.engine.Reclaim(context.Background()); r == nil || r.Outcome != helper.Done {
		t.Errorf("reclaim: %+v", r)
	}
	f.expect("after that", helper.Locked)
	grant.Forget()
	if r := f.engine.Reclaim(context.Background()); r != nil {
		t.Errorf("there is still something to reclaim: %+v", r)
	}
}
