package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
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
			if want := []string{"not unlocked: the kernel command line does not say rw"}; !reflect.DeepEqual(result.Notices, want) {
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
		result, exitCode, _ := f.helper(helper.Unseal, fmt.Sprintf("mount_setattr:error=EPERM:when=%d", n))
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

// Whoever reads the journal learns why nothing was done.
func TestASkippedSealSaysWhyInTheJournal(t *testing.T) {
	f := newFixture(t)
	f.commandLine("rw")
	var messages []string
	f.engine.Journal = func(e journal.Entry) { messages = append(messages, e.Message) }
	f.must(helper.Seal)
	if want := []string{"seal for rrs: nothing done, the system is unlocked; not sealed: the kernel command line says rw"}; !reflect.DeepEqual(messages, want) {
		t.Errorf("journal = %q, want %q", messages, want)
	}
}
