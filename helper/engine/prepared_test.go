package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/islands"
	"immutray.org/helper/statedir"
	"immutray.org/packaging/testbed/lab"
)

// newPrepared is a timed fixture whose machine was locked once, and is unlocked.
func newPrepared(t *testing.T) *timedFixture {
	t.Helper()
	f := newTimedFixture(t)
	f.engine.Prepared = filepath.Join(f.Dir, "kept", "prepared.json")
	f.engine.Config.Islands = append(f.engine.Config.Islands, f.newHome())
	f.must(helper.Lock)
	f.must(helper.Unlock)
	return f
}

func (f *fixture) newHome() string { return filepath.Join(f.Root, "home/bob") }

// useradd makes a directory that must stay writable, where each has a subvolume of its
// own; so does useradd -m.
func (f *fixture) useradd() {
	f.t.Helper()
	if err := os.MkdirAll(f.newHome(), 0o755); err != nil {
		f.t.Fatal(err)
	}
}

// expectFrozen holds a result that locks all the same, and says what that means.
func (f *fixture) expectFrozen(when string, r *helper.Result) {
	f.t.Helper()
	told := slices.ContainsFunc(r.Notices, func(n string) bool {
		return strings.HasPrefix(n, f.newHome()+" needs a subvolume of its own") && strings.Contains(n, "sudo immutectl island "+f.newHome())
	})
	if r.Outcome != helper.Done || !told || !slices.Equal(r.Islands, []string{f.newHome()}) {
		f.t.Errorf("%s: %s: %s; notices %q, islands %q", when, r.Outcome, r.Error, r.Notices, r.Islands)
	}
	f.expect(when, helper.Locked)
	if err := f.Writable(f.newHome()); !errors.Is(err, unix.EROFS) {
		f.t.Errorf("%s: the new directory can be written: %v", when, err)
	}
}

// A directory that has come since the last lock keeps no window from ending and no boot
// from being sealed. A person's own lock asks first.
func TestANewDirectoryStopsOnlyAPersonsOwnLock(t *testing.T) {
	f := newPrepared(t)
	f.engine.Config.RelockOn = helper.Occasions()
	f.useradd()
	for name, lock := range map[string]func() *helper.Result{
		"due": func() *helper.Result {
			f.unlock(helper.Request{For: time.Minute})
			f.pass(time.Minute)
			return f.due()
		},
		"seal":      func() *helper.Result { return f.run(helper.Seal) },
		"by force":  func() *helper.Result { return f.run(helper.LockForce) },
		"sleep":     func() *helper.Result { return f.ask(helper.Request{Verb: helper.Lock, ID: "s", On: helper.Sleep}) },
		"after run": func() *helper.Result { return f.ask(helper.Request{Verb: helper.Lock, ID: "r", AfterRun: true}) },
	} {
		if r := f.run(helper.Lock); r.Outcome != helper.NotPrepared || !slices.Equal(r.Islands, []string{f.newHome()}) {
			t.Errorf("before %s, by a person: %s: %s", name, r.Outcome, r.Error)
		}
		f.expect("before "+name, helper.Unlocked)
		f.expectFrozen(name, lock())
		f.expectFrozen(name+", and locked again by a person", f.run(helper.Lock))
		f.must(helper.Unlock)
	}
}

// On a locked system a command can run, and makes such a directory itself.
func TestACommandMakesANewDirectory(t *testing.T) {
	f := newPrepared(t)
	grant := f.grant(helper.Run{})
	if err := grant.paths[0].SetMountReadOnly(false); err != nil { // as in the command's own namespace
		t.Fatal(err)
	}
	f.useradd()
	if err := grant.paths[0].SetMountReadOnly(true); err != nil {
		t.Fatal(err)
	}
	f.expectFrozen("after the command", grant.End(context.Background(), nil))

	f.CloseTop()
	grant, r := f.engine.Grant(context.Background(), helper.Run{ID: "next"})
	if grant == nil {
		t.Fatalf("the next command is refused: %s: %s", r.Outcome, r.Error)
	}
	f.expectFrozen("after the next command", grant.End(context.Background(), nil))
	grant, r = f.engine.Grant(context.Background(), helper.Run{ID: "system-wide", SystemWide: true})
	if grant == nil {
		t.Fatalf("a system-wide command is refused: %s: %s", r.Outcome, r.Error)
	}
	f.expectFrozen("after a system-wide command", grant.End(context.Background(), nil))
}

// Nothing locks a machine by itself that could never be locked.
func TestAMachineThatWasNeverPrepared(t *testing.T) {
	f := newTimedFixture(t)
	f.must(helper.Unlock)
	f.engine.Config.Islands = append(f.engine.Config.Islands, f.newHome())
	f.useradd()
	record := filepath.Join(f.Dir, "prepared.json")
	refused := func(when string) {
		t.Helper()
		f.unlock(helper.Request{For: time.Minute})
		f.pass(time.Minute)
		for name, r := range map[string]*helper.Result{
			"due": f.due(), "seal": f.run(helper.Seal), "by force": f.run(helper.LockForce), "by a person": f.run(helper.Lock),
			"after run": f.ask(helper.Request{Verb: helper.Lock, ID: "r", AfterRun: true}),
		} {
			if r.Outcome != helper.NotPrepared {
				t.Errorf("%s, %s: %s: %s", when, name, r.Outcome, r.Error)
			}
		}
		f.expect(when, helper.Unlocked)
	}
	refused("nobody keeps a record")
	f.engine.Prepared = record
	refused("no record")
	writeFile(t, record, "{")
	refused("a record that can't be read")

	// Of these paths a lock was never allowed.
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	f.engine.Config.Paths = []string{f.Etc}
	if err := os.Remove(filepath.Join(f.State, statedir.StateFile)); err != nil { // or the other one is locked too
		t.Fatal(err)
	}
	f.must(helper.Lock)
	f.must(helper.Unlock)
	f.engine.Config.Paths = f.Protected()
	refused("another path")
	if got, err := islands.ReadRecord(record); err != nil || !slices.Equal(got.Paths, []string{f.Etc}) {
		t.Errorf("the record is %+v, %v", got, err)
	}
}

// A locked system was prepared, even without a record of that.
func TestAMachineThatWasLockedWithoutARecord(t *testing.T) {
	f := newTimedFixture(t)
	f.must(helper.Lock)
	f.engine.Prepared = filepath.Join(f.Dir, "prepared.json")
	f.engine.Config.Islands = append(f.engine.Config.Islands, f.newHome())
	f.unlock(helper.Request{For: time.Minute})
	f.useradd()
	f.pass(time.Minute)
	f.expectFrozen("due", f.due())
}

// At boot an island that has lost its mount is no new directory: programs that write there
// would keep the machine from coming up. A window ends all the same.
func TestAnIslandThatLostItsMount(t *testing.T) {
	f := newPrepared(t)
	cache := filepath.Join(f.Root, "var/cache")
	if err := unix.Unmount(cache, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	defer f.command("mount", "-t", "btrfs", "-o", "subvol=/ROOTVOL/var/cache", f.Device, cache)
	if r := f.run(helper.Seal); r.Outcome != helper.NotPrepared {
		t.Errorf("seal: %s: %s", r.Outcome, r.Error)
	}
	f.expect("after the seal", helper.Unlocked)
	f.unlock(helper.Request{For: time.Minute})
	f.pass(time.Minute)
	if r := f.due(); r.Outcome != helper.Done || !slices.Equal(r.Islands, []string{cache}) {
		t.Errorf("due: %s: %s, islands %q", r.Outcome, r.Error, r.Islands)
	}
	f.expect("at the end of the window", helper.Locked)
}

// A record that can't be written keeps the system from nothing.
func TestARecordThatCanNotBeKept(t *testing.T) {
	f := newFixture(t)
	f.closeTop()
	f.engine.Prepared = filepath.Join(f.Root, "kept", "prepared.json")
	f.must(helper.Lock) // while it can be written
	f.must(helper.Unlock)
	f.engine.Prepared = filepath.Join(f.Root, "kept", "prepared.json", "below")
	if r := f.must(helper.Lock); len(r.Notices) != 1 || !strings.Contains(r.Notices[0], "cannot record which islands are writable") {
		t.Errorf("notices %q", r.Notices)
	}
	f.engine.Prepared = filepath.Join(f.Root, "elsewhere", "prepared.json")
	if r := f.must(helper.Lock); len(r.Notices) != 0 { // it is read-only now
		t.Errorf("notices %q", r.Notices)
	}
}

// A lock does not ask a file system over an island that never answers, is another user's, or
// dead.
func TestAFileSystemThatDoesNotAnswer(t *testing.T) {
	f := newFixture(t)
	silent := lab.MountSilentServer(t, filepath.Join(f.Root, "var/tmp"))
	defer silent.Release(t)
	for _, verb := range []helper.Verb{helper.Lock, helper.Unlock, helper.LockForce, helper.Unlock, helper.Seal} {
		done := make(chan *helper.Result)
		go func() { done <- f.run(verb) }()
		select {
		case r := <-done:
			if r.Outcome != helper.Done {
				t.Errorf("%s: %s: %s", verb, r.Outcome, r.Error)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s waits for a file system that does not answer", verb)
		}
	}
	f.expect("after the seal", helper.Locked)
}
