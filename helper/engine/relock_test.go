package engine

import (
	"os"
	"path/filepath"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/statefile"
)

func TestLockOnAnOccasion(t *testing.T) {
	f := newFixture(t)
	onSleep := helper.Request{Verb: helper.Lock, ID: "sleep", On: helper.Sleep}

	// A writer is not hurt, and it is told.
	busy, err := os.Create(filepath.Join(f.Etc, "busy"))
	if err != nil {
		t.Fatal(err)
	}
	if r := f.ask(onSleep); r.Outcome != helper.Blocked || len(r.Writers) == 0 {
		t.Errorf("with a writer: %+v, want it blocked", r)
	}
	busy.Close()
	if r := f.ask(onSleep); r.Outcome != helper.Done || r.Status.State != helper.Locked {
		t.Errorf("%+v, want it locked", r)
	}
	before, err := statefile.Read(f.State)
	if err != nil || before.Last == nil || before.Last.Request.On != helper.Sleep {
		t.Errorf("the record is %+v, %v", before.Last, err)
	}

	// Of a system that is locked there is nothing to record.
	r := f.ask(helper.Request{Verb: helper.Lock, ID: "again", On: helper.Logout})
	if r.Outcome != helper.Done || r.Status.State != helper.Locked || len(r.Notices) != 1 || r.Notices[0] != "it is locked already" {
		t.Errorf("once more: %+v, want nothing done", r)
	}
	if after, err := statefile.Read(f.State); err != nil || after.Last == nil || after.Last.Request.ID != "sleep" {
		t.Errorf("the record is %+v, %v, want it as it was", after.Last, err)
	}
}

// Days later, an administrator of many machines wants to know how the seal ended.
func TestTheSealIsRememberedUntilTheNextBoot(t *testing.T) {
	f := newTimedFixture(t)
	f.commandLine("ro")
	expect := func(when string, want helper.Outcome) {
		t.Helper()
		state, err := statefile.Read(f.State)
		if err != nil || state.Seal == nil || state.Seal.Outcome != want || state.Seal.Finished.IsZero() {
			t.Errorf("%s: the seal is %+v, %v, want %s", when, state.Seal, err, want)
		}
	}
	if state, err := statefile.Read(f.State); err != nil || state.Seal != nil {
		t.Errorf("before there was one, the seal is %+v, %v", state.Seal, err)
	}
	f.must(helper.Seal)
	expect("after the seal", helper.Done)
	f.unlock(helper.Request{})
	expect("after an unlock", helper.Done)
	f.due() // too early: it puts the lock off
	expect("after a timer that came too early", helper.Done)
	f.must(helper.Lock)
	expect("after a lock", helper.Done)

	f.unlock(helper.Request{UntilLocked: true})
	busy, err := os.Create(filepath.Join(f.Etc, "busy"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if r := f.run(helper.Seal); r.Outcome != helper.Blocked {
		t.Fatalf("a seal with a writer: %+v", r)
	}
	expect("after one that was blocked", helper.Blocked)
}
