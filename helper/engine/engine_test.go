package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/journal"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
)

func TestLockClosesTheProtectedPathsAndNothingElse(t *testing.T) {
	for _, c := range []string{"with_a_writer_elsewhere", "with_nothing_open_for_writing"} {
		t.Run(c, func(t *testing.T) {
			f := newFixture(t)
			if c == "with_a_writer_elsewhere" {
				a := f.start("writes", filepath.Join(f.Root, "home/rrs/notes"))
				defer func() {
					if got := a.work(); got != "ok" {
						t.Errorf("the writer on home after the lock: %s", got)
					}
				}()
			}
			result := f.must(helper.Lock)
			for _, p := range result.Status.Paths {
				if p.Property != helper.ReadOnly || p.Mount != helper.ReadOnly || p.Superblock != helper.Writable {
					t.Errorf("after lock: %+v", p)
				}
			}
			f.expect("after lock", helper.Locked)
			f.expectOthersWritable("after lock")
		})
	}
}

// From every state a person can find the system in, each verb ends in its state,
// twice in a row, and the status is true before and after.
func TestEveryStateToLockedAndToUnlocked(t *testing.T) {
	overall := map[string]helper.State{
		"unlocked":                       helper.Unlocked,
		"locked":                         helper.Locked,
		"open_mount":                     helper.PartlyLocked,
		"mount_only":                     helper.PartlyLocked,
		"read_only_superblock":           helper.PartlyLocked,
		"classic_lock_on_an_idle_system": helper.Locked,
	}
	for _, from := range arrangements {
		for verb, want := range map[helper.Verb]helper.State{
			helper.Lock: helper.Locked, helper.Unlock: helper.Unlocked,
			helper.Seal: helper.Locked, helper.Unseal: helper.Unlocked,
		} {
			t.Run(fmt.Sprintf("%s/%s", from, verb), func(t *testing.T) {
				f := newFixture(t)
				f.commandLine(map[helper.Verb]string{helper.Seal: "ro quiet\n", helper.Unseal: "rw quiet\n"}[verb])
				f.arrange(from)
				f.expect("before", overall[from])
				for _, when := range []string{"once", "twice"} {
					result := f.must(verb)
					if result.Status.State != want {
						t.Errorf("%s: result says %s, want %s", when, result.Status.State, want)
					}
					f.expect(when, want)
					f.expectOthersWritable(when)
				}
			})
		}
	}
}

// The package is written for mounts that may carry options of their own.
func TestLockKeepsOtherMountOptions(t *testing.T) {
	f := newFixture(t)
	f.command("mount", "-o", "remount,bind,nosuid,nodev,noatime", f.Etc)
	f.must(helper.Lock)
	f.must(helper.Unlock)
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); fields[4] == f.Etc && fields[5] != "rw,nosuid,nodev,noatime" {
			t.Errorf("options of %s after lock and unlock = %s", f.Etc, fields[5])
		}
	}
}

func TestAFilesystemWithoutPropertyIsLockedByItsMountFlag(t *testing.T) {
	f := newFixture(t)
	f.command("umount", f.Etc)
	f.command("mount", "-t", "tmpfs", "none", f.Etc)
	f.must(helper.Lock)
	f.expect("after lock", helper.Locked)
	f.must(helper.Unlock)
	f.expect("after unlock", helper.Unlocked)
}

func TestAWindowLastsFromTheUnlockToTheLock(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Lock)
	first := f.must(helper.Unlock).Status.Window
	if first == nil || first.UID != 1000 || first.User != "rrs" || first.Since.IsZero() || first.Until != nil {
		t.Fatalf("window after unlock = %+v", first)
	}
	if again := f.must(helper.Unlock).Status.Window; again == nil || !again.Since.Equal(first.Since) {
		t.Errorf("window after a second unlock = %+v, want the first one's %v", again, first.Since)
	}
	if got := f.status().Window; got == nil || !got.Since.Equal(first.Since) {
		t.Errorf("window as anybody reads it = %+v", got)
	}
	// A lock that fails does not end it.
	a := f.start("writes", filepath.Join(f.Root, "file"))
	if result := f.run(helper.Lock); result.Outcome != helper.Blocked || result.Status.Window == nil {
		t.Errorf("lock with a writer = %s, window %+v", result.Outcome, result.Status.Window)
	}
	a.stop()
	if got := f.must(helper.Lock).Status.Window; got != nil {
		t.Errorf("window after lock = %+v", got)
	}
}

func TestRequestsAreCarriedOutOneAfterAnother(t *testing.T) {
	f := newFixture(t)
	var mu sync.Mutex
	var records []string
	f.engine.Journal = func(e journal.Entry) {
		mu.Lock()
		defer mu.Unlock()
		records = append(records, e.MessageID)
	}
	verbs := []helper.Verb{helper.Lock, helper.Unlock, helper.Lock}
	for range 10 {
		results := make([]*helper.Result, len(verbs))
		var wg sync.WaitGroup
		for i, verb := range verbs {
			wg.Add(1)
			go func() {
				defer wg.Done()
				results[i] = f.run(verb)
			}()
		}
		wg.Wait()
		last := results[0]
		for i, r := range results {
			want := map[helper.Verb]helper.State{helper.Lock: helper.Locked, helper.Unlock: helper.Unlocked}[verbs[i]]
			if r.Outcome != helper.Done || r.Status.State != want {
				t.Errorf("%s = %s, %s: %s", verbs[i], r.Outcome, r.Status.State, r.Error)
			}
			if r.Finished.After(last.Finished) {
				last = r
			}
		}
		f.expect("after all three", last.Status.State)
	}
	for i, id := range records {
		if want := []string{MessageIntent, MessageOutcome}[i%2]; id != want {
			t.Fatalf("record %d is not where it belongs: two requests were at work at once", i)
		}
	}
}

func TestTheTurnIsNotWaitedForForever(t *testing.T) {
	f := newFixture(t)
	turn, err := os.Create(filepath.Join(f.State, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer turn.Close()
	if err := unix.Flock(int(turn.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	result := f.engine.Run(ctx, helper.Request{Verb: helper.Lock})
	if result.Outcome != helper.Failed || !strings.Contains(result.Error, "another lock or unlock is still running") {
		t.Errorf("Run() while another is at work = %s: %s", result.Outcome, result.Error)
	}
	f.expect("after it gave up", helper.Unlocked)
}

func TestPathsThatCannotBeProtected(t *testing.T) {
	f := newFixture(t)
	plain := filepath.Join(f.Root, "plain")
	if err := os.Mkdir(plain, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		plain:                     "it is not a mount point",
		filepath.Join(plain, "x"): "no such file or directory",
	} {
		f.engine.Config.Paths = []string{f.Etc, path}
		result := f.run(helper.Lock)
		if result.Outcome != helper.ConfigRefused || !result.Unfit || !strings.Contains(result.Error, want) {
			t.Errorf("lock of %s = %s: %s; want %s, %q", path, result.Outcome, result.Error, helper.ConfigRefused, want)
		}
	}
	f.expect("afterwards", helper.Unlocked)
}

func TestAStateDirectoryThatOthersCanWriteToIsRefused(t *testing.T) {
	f := newFixture(t)
	link := filepath.Join(f.Dir, "link")
	if err := os.Symlink(f.State, link); err != nil {
		t.Fatal(err)
	}
	others := filepath.Join(f.Dir, "others")
	if err := os.Mkdir(others, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(others, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{link, others} {
		f.engine.Config.StateDir = dir
		if result := f.run(helper.Lock); result.Outcome != helper.Failed || !strings.Contains(result.Error, "only root") {
			t.Errorf("lock with state directory %s = %s: %s", dir, result.Outcome, result.Error)
		}
	}
	f.expect("afterwards", helper.Unlocked)
}

// The person must learn it when the window can't be recorded, and stay locked.
func TestUnlockWithoutARecordIsNoUnlock(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Lock)
	// Room for the directory and the lock between requests, and for no file more.
	f.command("mount", "-t", "tmpfs", "-o", "mode=0755,nr_inodes=2", "none", f.State)
	defer unix.Unmount(f.State, unix.MNT_DETACH)
	writeFile(t, filepath.Join(f.State, "lock"), "")
	result := f.run(helper.Unlock)
	if result.Outcome != helper.Failed || !strings.HasPrefix(result.Error, "cannot unlock: could not write the state file") {
		t.Errorf("unlock = %s: %s", result.Outcome, result.Error)
	}
	f.expect("after the refused unlock", helper.Locked)
}

func TestADamagedStateFileIsReplaced(t *testing.T) {
	f := newFixture(t)
	f.closeTop()
	writeFile(t, filepath.Join(f.State, statedir.StateFile), `{"window": {"since": "yester`)
	result := f.must(helper.Lock)
	if len(result.Notices) != 1 || !strings.Contains(result.Notices[0], "state file") {
		t.Errorf("notices = %q", result.Notices)
	}
	if state, err := statefile.Read(f.State); err != nil || state.Last == nil || state.Last.Outcome != helper.Done {
		t.Errorf("state file afterwards = %+v, %v", state, err)
	}
}
