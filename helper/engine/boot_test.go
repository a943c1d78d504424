package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/boot"
	"immutray.org/helper/journal"
	"immutray.org/helper/statefile"
)

// What the kernel command line says decides which of the two does anything, in
// whatever order they come, and the other leaves no trace.
func TestTheKernelCommandLineDecidesBetweenSealAndUnseal(t *testing.T) {
	for commandLine, want := range map[string]struct {
		verb  helper.Verb // that acts
		state helper.State
	}{
		"root=/dev/sda2 ro quiet\n":                    {helper.Seal, helper.Locked},
		"root=/dev/sda2 rootflags=subvol=@,rw rw=1 ro": {helper.Seal, helper.Locked},
		`dyndbg="file x rw" ro`:                        {helper.Seal, helper.Locked},
		"root=/dev/sda2 ro quiet rw\n":                 {helper.Unseal, helper.Unlocked},
		`root=/dev/sda2 "rw"`:                          {helper.Unseal, helper.Unlocked},
		"ro rescue rw":                                 {helper.Unseal, helper.Unlocked},
		"rw systemd.unit=emergency.target":             {helper.Unseal, helper.Unlocked},
		"ro rescue":                                    {"", helper.PartlyLocked},
	} {
		for _, verbs := range [][]helper.Verb{{helper.Seal, helper.Unseal}, {helper.Unseal, helper.Seal}} {
			t.Run(fmt.Sprintf("%q/%s_first", commandLine, verbs[0]), func(t *testing.T) {
				f := newFixture(t)
				f.commandLine(commandLine)
				f.arrange("open_mount") // as what was shut down locked is mounted with rw
				for _, verb := range verbs {
					result := f.must(verb)
					if skipped := len(result.Notices) == 1 && strings.HasPrefix(result.Notices[0], "not "); skipped != (verb != want.verb) {
						t.Errorf("%s: notices %q", verb, result.Notices)
					}
				}
				f.expect("after both", want.state)
				f.expectOthersWritable("after both")
				recorded, err := statefile.Read(f.State)
				switch {
				case err != nil:
					t.Error(err)
				case want.verb == "" && recorded.Last != nil, want.verb != "" && (recorded.Last == nil || recorded.Last.Request.Verb != want.verb):
					t.Errorf("the last result recorded is %+v, want that of %q", recorded.Last, want.verb)
				}
				if window := f.status().Window; (window != nil) != (want.verb == helper.Unseal) {
					t.Errorf("window = %+v", window)
				}
			})
		}
	}
}

func TestUnsealWithoutRwChangesNothing(t *testing.T) {
	for _, from := range arrangements {
		t.Run(from, func(t *testing.T) {
			f := newFixture(t)
			f.commandLine("root=/dev/sda2 rw=1 foo=rw ro emergency\n")
			f.arrange(from)
			before := f.status()
			result := f.must(helper.Unseal)
			if want := []string{"not unlocked: this boot is not meant to come up unlocked"}; !reflect.DeepEqual(result.Notices, want) {
				t.Errorf("notices = %q, want %q", result.Notices, want)
			}
			if after := f.status(); !reflect.DeepEqual(after, before) || !reflect.DeepEqual(*result.Status, before) {
				t.Errorf("%+v became %+v; the result says %+v", before, after, *result.Status)
			}
			if entries, err := os.ReadDir(f.State); err != nil || len(entries) > 0 {
				t.Errorf("in the state directory: %v, %v", entries, err)
			}
		})
	}
}

// What would keep a sealed boot from coming up has it come up unlocked, with the reason
// on record. Both verbs agree, in whatever order they come.
func TestABootThatCouldNotComeUpIsUnlocked(t *testing.T) {
	const id = "%08d-1111-1111-1111-111111111111\n"
	lost := ""
	for n := range boot.MaxUnfinished {
		lost += fmt.Sprintf(id, n)
	}
	for reason, arrange := range map[string]func(m boot.Machine) error{
		"an update is waiting to be installed": func(m boot.Machine) error { return os.Symlink("/nowhere", filepath.Join(m.Root, "system-update")) },
		"the last 3 boots did not come up": func(m boot.Machine) error {
			return errors.Join(os.Mkdir(m.Kept, 0o755), os.WriteFile(filepath.Join(m.Kept, "unfinished-boots"), []byte(lost), 0o644))
		},
	} {
		for _, verbs := range [][]helper.Verb{{helper.Seal, helper.Unseal}, {helper.Unseal, helper.Seal}} {
			t.Run(reason+"/"+string(verbs[0])+"_first", func(t *testing.T) {
				f := newFixture(t)
				f.commandLine("root=/dev/sda2 ro quiet\n")
				f.arrange("open_mount")
				f.engine.Boot = boot.Machine{Root: t.TempDir(), Kept: filepath.Join(t.TempDir(), "kept")}
				if err := arrange(f.engine.Boot); err != nil {
					t.Fatal(err)
				}
				for _, verb := range verbs {
					result := f.must(verb)
					if want := []string{"not sealed: " + reason}; verb == helper.Seal && !reflect.DeepEqual(result.Notices, want) {
						t.Errorf("the seal says %q, want %q", result.Notices, want)
					}
				}
				f.expect("after both", helper.Unlocked)
				f.expectOthersWritable("after both")
				if w := f.status().Window; w == nil || w.Reason != reason || w.Until != nil {
					t.Errorf("window = %+v, want it with its reason and without an end", w)
				}
			})
		}
	}
}

// A boot that is sealed is on record before anything is read-only, so that a seal that
// stops in the middle counts. Where there is no place for the record, it is sealed as ever.
func TestASealedBootIsCounted(t *testing.T) {
	f := newFaultFixture(t)
	f.closeTop()
	f.commandLine("ro")
	kept := filepath.Join(t.TempDir(), "kept")
	f.engine.Boot = boot.Machine{Kept: kept}
	if result := f.must(helper.Seal); len(result.Notices) > 0 {
		t.Errorf("notices = %q", result.Notices)
	}
	f.expect("counted", helper.Locked)
	record, err := os.ReadFile(filepath.Join(kept, "unfinished-boots"))
	if err != nil || len(record) != len("11111111-1111-1111-1111-111111111111\n") {
		t.Errorf("on record is %q, %v", record, err)
	}
	// The unseal of the same boot does not take it for one that is lost.
	if result := f.must(helper.Unseal); len(result.Notices) != 1 {
		t.Errorf("notices = %q", result.Notices)
	}
	f.expect("after the unseal", helper.Locked)

	for what, kept := range map[string]string{
		`"` + f.Etc + `" is on a protected path`: filepath.Join(f.Etc, "kept"),
		"no such file or directory":              "/nowhere/kept",
	} {
		f.prepare("unlocked")
		f.engine.Boot = boot.Machine{Kept: kept}
		if result := f.must(helper.Seal); len(result.Notices) != 1 || !strings.HasSuffix(result.Notices[0], what) {
			t.Errorf("notices = %q, want that %s", result.Notices, what)
		}
		f.expect(what, helper.Locked)
	}
}

// A lock says that the next boot will come up unlocked, an unlock does not.
func TestALockTellsOfAnUpdateThatWaits(t *testing.T) {
	f := newFixture(t)
	f.closeTop()
	f.engine.Boot = boot.Machine{Root: t.TempDir()}
	if result := f.must(helper.Lock); len(result.Notices) > 0 {
		t.Errorf("without an update: %q", result.Notices)
	}
	if err := os.Symlink("/var/cache", filepath.Join(f.engine.Boot.Root, "system-update")); err != nil {
		t.Fatal(err)
	}
	want := []string{"the next boot will come up unlocked: an update is waiting to be installed"}
	for _, verb := range []helper.Verb{helper.Lock, helper.LockForce} {
		if result := f.must(verb); !reflect.DeepEqual(result.Notices, want) {
			t.Errorf("%s: %q, want %q", verb, result.Notices, want)
		}
	}
	if result := f.ask(helper.Request{Verb: helper.Unlock, UntilLocked: true}); len(result.Notices) > 0 {
		t.Errorf("unlock: %q", result.Notices)
	}
}

// An update is installed also where nothing was ever set up.
func TestAnUpdateOfAMachineThatIsNotSetUp(t *testing.T) {
	f := newFixture(t)
	f.commandLine("ro")
	f.engine.Boot = boot.Machine{Root: t.TempDir()}
	if err := os.Symlink("/var/cache", filepath.Join(f.engine.Boot.Root, "system-update")); err != nil {
		t.Fatal(err)
	}
	f.engine.Config.Paths = []string{f.Root, filepath.Join(f.Root, "usr")}
	if err := os.MkdirAll(f.engine.Config.Paths[1], 0o755); err != nil {
		t.Fatal(err)
	}
	want := []string{"not unlocked: nothing is locked"}
	if result := f.must(helper.Unseal); !reflect.DeepEqual(result.Notices, want) {
		t.Errorf("notices = %q, want %q", result.Notices, want)
	}
	f.setProperties()
	if result := f.run(helper.Unseal); result.Outcome == helper.Done {
		t.Errorf("with a path that is locked, and one that can't be: %s, %q", result.Outcome, result.Notices)
	}
}

// A state directory that is kept over a restart has the window of another boot.
func TestTheBootForgetsAnOldWindow(t *testing.T) {
	f := newFixture(t)
	f.commandLine("rw")
	old := &helper.Window{Since: time.Now().Add(-time.Hour).Round(time.Second), UID: 65534, User: "nobody"}
	if err := statefile.Write(f.State, statefile.State{Window: old}); err != nil {
		t.Fatal(err)
	}
	result := f.must(helper.Unseal)
	recorded, err := statefile.Read(f.State)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []*helper.Window{result.Status.Window, recorded.Window} {
		if w == nil || w.UID != result.Request.UID || w.User != result.Request.User || w.Since.Before(result.Started.Add(-time.Second)) {
			t.Errorf("window = %+v, want one of this boot", w)
		}
	}
	f.commandLine("ro")
	f.start("writes", filepath.Join(f.Root, "file"))
	if err := statefile.Write(f.State, statefile.State{Window: old}); err != nil {
		t.Fatal(err)
	}
	if result := f.run(helper.Seal); result.Outcome != helper.Blocked || result.Status.Window != nil {
		t.Errorf("seal with a writer = %s, window %+v, want none", result.Outcome, result.Status.Window)
	}
}

// Killed or failing anywhere, it goes as with an unlock, whose steps these are.
func TestAFailedUnsealIsRolledBack(t *testing.T) {
	f := newFaultFixture(t)
	f.commandLine("rw")
	failed := 0
	for n := 1; ; n++ {
		f.prepare("locked")
		result, exitCode, _ := f.helper(helper.Unseal, fmt.Sprintf("mount_setattr:error=EIO:when=%d", n))
		if !f.reached() {
			break
		}
		failed++
		when := fmt.Sprintf("mount_setattr %d failed", n)
		if result.Outcome != helper.Failed || exitCode != helper.ExitFailed || result.Error == "" {
			t.Errorf("%s: %s, exit code %d, %q", when, result.Outcome, exitCode, result.Error)
		}
		f.expect(when, helper.Locked)
		f.expectOthersWritable(when)
	}
	if failed < 2*len(f.Protected()) {
		t.Errorf("only %d calls failed: the test does not do its work", failed)
	}
	f.expect("without a fault", helper.Unlocked)
}

// The journal says why nothing was done.
func TestASkippedSealSaysWhyInTheJournal(t *testing.T) {
	f := newFixture(t)
	f.commandLine("rw")
	var messages []string
	f.engine.Journal = func(e journal.Entry) { messages = append(messages, e.Message) }
	f.must(helper.Seal)
	if want := []string{"seal for rrs: nothing done, the system is unlocked; not sealed: the kernel command line has the word rw"}; !reflect.DeepEqual(messages, want) {
		t.Errorf("journal = %q, want %q", messages, want)
	}
}
