package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/inforce"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statefile"
	"immutray.org/packaging/testbed/lab"
)

// A machineWithFile has systemd, units that do what those of ours do, real subvolumes and
// a file of its own that says which.
type machineWithFile struct {
	*lab.System
	t      *testing.T
	source inforce.Source
	units  *delegating
}

func newMachineWithFile(t *testing.T) *machineWithFile {
	s := lab.New(t)
	m := &machineWithFile{System: s, t: t, units: newDelegating(t),
		source: inforce.Source{File: filepath.Join(s.Dir, "config.toml"), Kept: filepath.Join(s.Dir, "kept", "config.json")}}
	for _, d := range []*server{m.units.server, m.units.worker.server} {
		d.load = func(string) (config.Config, error) { return m.inForce(), nil }
		d.keepConfig = m.source.Keep
		d.run = (*engine.Engine).Run
		d.timers = noTimers{}
	}
	m.write(s.State, s.Protected()...)
	return m
}

// inForce is what the source says, unless that is the machine that the test runs on: its
// default is what is used when nothing else is known.
func (m *machineWithFile) inForce() config.Config {
	c := m.source.Load()
	for _, p := range c.Paths {
		if !strings.HasPrefix(p, m.Dir+"/") && p != "/nonexistent" {
			m.t.Fatalf("in force is %+v, which is not the test's own", c)
		}
	}
	return c
}

// takeAway has a directory no longer be a mount point, until the test ends.
func (m *machineWithFile) takeAway(mounted string) {
	m.t.Helper()
	elsewhere := filepath.Join(m.Dir, "elsewhere")
	err := os.Mkdir(elsewhere, 0o755)
	if err == nil {
		err = unix.Mount(mounted, elsewhere, "", unix.MS_MOVE, "")
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if err := unix.Mount(elsewhere, mounted, "", unix.MS_MOVE, ""); err != nil {
			m.t.Error(err)
		}
	})
}

// noTimers are set, but never come.
type noTimers struct{}

func (noTimers) Arm(context.Context, string, time.Duration) error { return nil }
func (noTimers) Disarm(context.Context, string) error             { return nil }

func (m *machineWithFile) write(stateDir string, paths ...string) {
	m.t.Helper()
	m.spoil(fmt.Sprintf("paths = [\"%s\"]\nislands = []\ndrain = \"0s\"\nrelock_on = [\"sleep\"]\nunlock_max = \"2h\"\nstate_dir = %q\n", strings.Join(paths, `", "`), stateDir))
}

func (m *machineWithFile) spoil(text string) {
	m.t.Helper()
	if err := os.WriteFile(m.source.File, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// ask asks the server as root, and wants that exit code.
func (m *machineWithFile) ask(code int, args ...string) *helper.Result {
	m.t.Helper()
	return m.askFor(nil, code, args...)
}

func (m *machineWithFile) askFor(pkexecUID *string, code int, args ...string) *helper.Result {
	m.t.Helper()
	r, got := m.units.serve(m.t, pkexecUID, args...)
	if got != code {
		m.t.Errorf("%q: exit %d, want %d: %s %s, %q", args, got, code, r.Outcome, r.Error, r.Notices)
	}
	return r
}

// unit runs the helper as a unit does whose queue is empty, and wants it done.
func (m *machineWithFile) unit(args ...string) *helper.Result {
	m.t.Helper()
	r, code := m.units.worker.serve(m.t, nil, args...)
	if code != helper.ExitDone {
		m.t.Errorf("%q: exit %d: %s %s", args, code, r.Outcome, r.Error)
	}
	return r
}

// expect holds the lab's paths, and not only those of a configuration, against a state.
func (m *machineWithFile) expect(when string, want helper.State) {
	m.t.Helper()
	for _, p := range lockstate.ReadPaths(m.Protected()).Paths {
		if p.State != want {
			m.t.Errorf("%s: %s is %s, want %s", when, p.Path, p.State, want)
		}
	}
}

// The issue's own: a window, a slip in the file, and the end of the window.
func TestAFileThatIsRefusedKeepsNothingOpen(t *testing.T) {
	for name, spoil := range map[string]func(*machineWithFile){
		"a word mistyped":   func(m *machineWithFile) { m.spoil("pats = 1\n") },
		"everybody's":       func(m *machineWithFile) { os.Chmod(m.source.File, 0o666) },
		"a directory":       func(m *machineWithFile) { os.Remove(m.source.File); os.Mkdir(m.source.File, 0o755) },
		"a path not there":  func(m *machineWithFile) { m.write(m.State, "/nonexistent") },
		"state_dir as well": func(m *machineWithFile) { m.write(filepath.Join(m.Dir, "other"), "/nonexistent") },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachineWithFile(t)
			m.ask(0, "lock")
			m.ask(0, "unlock", "--for", "1s")
			m.expect("after the unlock", helper.Unlocked)
			spoil(m)
			if s := lockstate.For(m.inForce()).Read(); s.State != helper.Unlocked || s.Window == nil || s.ConfigError == "" || len(s.Paths) != 2 {
				t.Errorf("the status in the window: %+v", s)
			}
			time.Sleep(time.Second)
			r := m.unit("lock", "--work", "--due")
			m.expect("at the end of the window", helper.Locked)
			if r.Status.State != helper.Locked || !strings.Contains(r.Status.ConfigError, m.source.File) || !slices.Contains(r.Notices, r.Status.ConfigError+helper.UsedInstead) {
				t.Errorf("at the end: %+v", r)
			}
			if state, err := statefile.Read(m.State); err != nil || state.Deadline != nil || state.Opened != nil {
				t.Errorf("on record after the lock: %+v, %v", state, err)
			}
		})
	}
}

func TestOnlyWhatOpensIsRefused(t *testing.T) {
	m := newMachineWithFile(t)
	m.ask(0, "lock")
	m.spoil("pats = 1\n")
	for _, pkexecUID := range []*string{nil, uid("1000")} {
		r := m.askFor(pkexecUID, helper.ExitConfigRefused, "unlock")
		if r.Outcome != helper.ConfigRefused || !strings.Contains(r.Error, "did you mean paths?") {
			t.Errorf("unlock: %s %s", r.Outcome, r.Error)
		}
		if hint := client.Hint(r.Err()); !strings.Contains(hint, `"immutectl unlock --ignore-config"`) {
			t.Errorf("the hint is %q", hint)
		}
	}
	m.askFor(uid("1000"), helper.ExitUsage, "unlock", "--ignore-config")
	m.expect("after what was refused", helper.Locked)

	// Nor is unlock_max lost with the file.
	m.ask(helper.ExitUsage, "unlock", "--ignore-config", "--for", "3h")
	m.ask(0, "unlock", "--ignore-config", "--for", "1h")
	m.expect("with the file ignored", helper.Unlocked)
	m.askFor(uid("1000"), 0, "lock")
	m.expect("after the lock", helper.Locked)
	m.ask(0, "lock")

	for _, verb := range []helper.Verb{helper.LockForce, helper.Seal} {
		m.ask(0, "unlock", "--ignore-config")
		m.commandLine("ro")
		m.unitOrServer(verb)
		m.expect("after "+string(verb), helper.Locked)
	}
	m.ask(0, "unlock", "--ignore-config")
	m.unit("lock", "--work", "--on", "sleep") // relock_on is not lost either
	m.expect("before the sleep", helper.Locked)

	// To repair it is what the word rw is for.
	m.commandLine("rw")
	m.unitOrServer(helper.Unseal)
	m.expect("after a boot with rw", helper.Unlocked)
}

func (m *machineWithFile) unitOrServer(verb helper.Verb) {
	m.t.Helper()
	if verb.AtBoot() {
		m.unit(string(verb))
	} else {
		m.ask(0, string(verb))
	}
}

// commandLine has the kernel command line say something else until the test ends.
func (m *machineWithFile) commandLine(text string) {
	m.t.Helper()
	file := filepath.Join(m.Dir, "cmdline")
	_, err := os.Stat(file)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
	if err == nil {
		return // it is mounted
	}
	if err := unix.Mount(file, "/proc/cmdline", "", unix.MS_BIND, ""); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { unix.Unmount("/proc/cmdline", unix.MNT_DETACH) })
}

// What was unlocked is what is locked again, whatever the file names by then.
func TestAPathThatIsNoLongerNamedIsLockedAgain(t *testing.T) {
	m := newMachineWithFile(t)
	if err := m.CloseTop(); err != nil {
		t.Fatal(err)
	}
	m.ask(0, "lock")
	m.ask(0, "unlock", "--for", "1h")
	m.write(m.State, m.Etc)
	if s := lockstate.For(m.inForce()).Read(); s.State != helper.Unlocked || len(s.Paths) != 2 || s.ConfigError != "" {
		t.Errorf("the status in the window: %+v", s)
	}
	// Asking again does not make it forgotten.
	m.ask(0, "unlock", "--for", "1h")
	r := m.ask(0, "lock")
	m.expect("after the lock", helper.Locked)
	if len(r.Notices) != 1 || !strings.Contains(r.Notices[0], m.Root) {
		t.Errorf("the notices are %q, want %s named", r.Notices, m.Root)
	}
	r = m.ask(0, "unlock")
	if len(r.Status.Paths) != 1 || r.Status.Paths[0].Path != m.Etc || m.Writable(m.Root) == nil {
		t.Errorf("the next unlock: %+v", r.Status)
	}
}

// The same where the path is busy at first, and where it is gone for good.
func TestAPathThatIsNoLongerNamedStaysOnRecordWhileItIsOpen(t *testing.T) {
	m := newMachineWithFile(t)
	m.ask(0, "lock")
	m.ask(0, "unlock", "--for", "1h")
	m.write(m.State, m.Etc)
	busy, err := os.Create(filepath.Join(m.Root, "busy"))
	if err != nil {
		t.Fatal(err)
	}
	m.ask(helper.ExitBlocked, "lock")
	m.askFor(uid("1000"), helper.ExitDone, "unlock", "--for", "1s")
	busy.Close()
	time.Sleep(time.Second)
	m.unit("lock", "--work", "--due")
	m.expect("at the end of the window", helper.Locked)

	m.write(m.State, m.Protected()...)
	m.ask(0, "unlock")
	m.write(m.State, m.Root)
	m.takeAway(m.Etc)
	if r := m.ask(0, "lock"); len(r.Status.Paths) != 1 || r.Status.State != helper.Locked {
		t.Errorf("a lock without the path that is gone: %+v", r)
	}
}

// A path that is named and not there keeps no other from being locked, nor, for root, from
// being unlocked.
func TestAPathThatIsGone(t *testing.T) {
	m := newMachineWithFile(t)
	m.ask(0, "lock")
	m.ask(0, "unlock")
	m.takeAway(m.Etc)
	r := m.ask(helper.ExitConfigRefused, "lock")
	if r.Status.State != helper.Unknown || m.Writable(m.Root) == nil || !strings.Contains(r.Error, "not a mount point") {
		t.Errorf("lock: %s, %+v", r.Error, r.Status)
	}
	m.ask(helper.ExitConfigRefused, "unlock")
	if m.Writable(m.Root) == nil {
		t.Error("it was unlocked all the same")
	}
	m.ask(0, "unlock", "--ignore-config")
	if err := m.Writable(m.Root); err != nil {
		t.Error(err)
	}
}

// A machine on which nothing was ever locked is not locked by half: its owner could not
// unlock it.
func TestAMachineThatIsNotSetUpIsLeftAlone(t *testing.T) {
	m := newMachineWithFile(t)
	m.write(m.State, m.Root, "/nonexistent")
	for _, pkexecUID := range []*string{nil, uid("1000")} {
		m.askFor(pkexecUID, helper.ExitConfigRefused, "lock")
		m.expect("after the refusal", helper.Unlocked)
	}
	if _, err := os.Stat(m.source.Kept); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was not used with success is kept: %v", err)
	}
}

// What a file with another state_dir leaves behind does not get lost: timer and window are
// on record where the window began, and that is where the next request looks.
func TestAnotherStateDirInAWindow(t *testing.T) {
	m := newMachineWithFile(t)
	m.ask(0, "lock")
	m.ask(0, "unlock", "--for", "1s")
	other := filepath.Join(m.Dir, "other")
	m.write(other, m.Protected()...)
	if s := lockstate.For(m.inForce()).Read(); s.Window == nil || s.Window.Until == nil {
		t.Errorf("the status in the window: %+v", s)
	}
	time.Sleep(time.Second)
	m.unit("lock", "--work", "--due")
	m.expect("at the end of the window", helper.Locked)
	if state, err := statefile.Read(m.State); err != nil || state.Deadline != nil || state.Opened != nil {
		t.Errorf("on record where it began: %+v, %v", state, err)
	}
	m.ask(0, "unlock", "--for", "1h")
	if state, err := statefile.Read(other); err != nil || state.Deadline == nil {
		t.Errorf("on record where the file says: %+v, %v", state, err)
	}
}
