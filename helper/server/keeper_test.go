package server

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
	"immutray.org/packaging/testbed/lab"
)

// A kept system is one without systemd, whose helpers stay to end their windows.
type kept struct {
	*lab.System
	config config.Config
}

func newKept(t *testing.T) *kept {
	s := lab.New(t)
	return &kept{s, config.Config{Paths: s.Protected(), StateDir: s.State, UnlockDefault: time.Hour}}
}

// A stay is a helper that runs in this process.
type stay struct {
	result *helper.Result
	gone   chan struct{}
}

// start runs a command line and returns when it has answered and let go of its caller.
func (k *kept) start(t *testing.T, args ...string) *stay {
	t.Helper()
	var out bytes.Buffer
	s := &stay{gone: make(chan struct{})}
	answered := make(chan struct{})
	f := newFixture(t)
	f.server.stdout, f.server.stderr = &out, io.Discard
	f.server.run = (*engine.Engine).Run
	f.server.load = func(string) (config.Config, error) { return k.config, nil }
	f.server.detach = func() error { close(answered); return nil }
	go func() {
		defer close(s.gone)
		f.server.serve(t.Context(), append([]string{helper.HelperPath}, args...), nil)
	}()
	select {
	case <-answered:
	case <-s.gone:
	}
	_, line, _ := strings.Cut(out.String(), "\n")
	if err := json.Unmarshal([]byte(line), &s.result); err != nil {
		t.Fatalf("%v: %v: %q", args, err, out.String())
	}
	return s
}

func (k *kept) state() helper.Status {
	return (&lockstate.Reader{Paths: k.config.Paths, StateDir: k.config.StateDir}).Read()
}

func (s *stay) mustBeGone(t *testing.T, when string) {
	t.Helper()
	select {
	case <-s.gone:
	case <-time.After(time.Minute): // far longer than it takes
		t.Fatalf("%s: the helper still stays", when)
	}
}

func (s *stay) mustStay(t *testing.T, when string) {
	t.Helper()
	select {
	case <-s.gone:
		t.Errorf("%s: the helper is gone", when)
	default:
	}
}

func TestKeeperLocksAtTheEnd(t *testing.T) {
	k := newKept(t)
	s := k.start(t, "unlock", "--for", "1s")
	if s.result.Outcome != helper.Done || s.result.Status.State != helper.Unlocked || s.result.Status.Window.Until == nil {
		t.Fatalf("unlock: %+v", s.result)
	}
	s.mustBeGone(t, "after the window")
	if got := k.state(); got.State != helper.Locked {
		t.Errorf("after the window: %s", got.State)
	}
	state, err := statefile.Read(k.State)
	if err != nil || state.Deadline != nil || state.Last == nil || !state.Last.Request.Due {
		t.Errorf("state file: %+v, %v", state, err)
	}
}

func TestKeeperGoesWithItsWindow(t *testing.T) {
	k := newKept(t)
	first := k.start(t, "unlock", "--for", "1h")
	second := k.start(t, "unlock", "--for", "2h")
	first.mustBeGone(t, "after the extension")
	second.mustStay(t, "after the extension")
	if w := k.state().Window; w == nil || w.Until == nil || time.Until(*w.Until) < time.Hour {
		t.Errorf("window %+v", w)
	}
	third := k.start(t, "unlock") // leaves what is longer than the default as it is
	second.mustBeGone(t, "after an unlock that says nothing")
	if w := k.state().Window; w == nil || w.Until == nil || time.Until(*w.Until) < time.Hour+59*time.Minute {
		t.Errorf("window %+v", w)
	}
	k.start(t, "lock").mustBeGone(t, "a lock")
	third.mustBeGone(t, "after the lock")

	fourth := k.start(t, "unlock")
	k.start(t, "unlock", "--until-locked").mustBeGone(t, "until someone locks")
	fourth.mustBeGone(t, "after there is no end any more")
	if s := k.state(); s.State != helper.Unlocked || s.Window.Until != nil {
		t.Errorf("state %s, window %+v", s.State, s.Window)
	}
}

// What blocks the lock at the end of the window does not end the waiting.
func TestKeeperTriesAgain(t *testing.T) {
	k := newKept(t)
	busy, err := os.Create(filepath.Join(k.Root, "busy"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	s := k.start(t, "unlock", "--for", "1s")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		state, err := statefile.Read(k.State)
		if err == nil && state.Last != nil && state.Last.Outcome == helper.Blocked {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no keeper tried to lock")
		}
	}
	s.mustStay(t, "while a file is in use")
	busy.Close()
	k.start(t, "lock").mustBeGone(t, "a lock")
	s.mustBeGone(t, "after the lock")
}

// Nor does a blocked lock that finds the record of the window damaged.
func TestKeeperStaysWithALostRecord(t *testing.T) {
	k := newKept(t)
	s := k.start(t, "unlock", "--for", "3s")
	busy, err := os.Create(filepath.Join(k.Root, "busy"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if err := os.WriteFile(filepath.Join(k.State, statedir.StateFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	lock := k.start(t, "lock")
	lock.mustBeGone(t, "a blocked lock")
	if lock.result.Outcome != helper.Blocked {
		t.Errorf("lock: %+v", lock.result)
	}
	busy.Close()
	s.mustBeGone(t, "after the window")
	if got := k.state(); got.State != helper.Locked {
		t.Errorf("after the window: %s", got.State)
	}
}

// A refused request leaves no keeper behind.
func TestKeeperOfNothing(t *testing.T) {
	k := newKept(t)
	k.config.UnlockMax = time.Hour
	s := k.start(t, "unlock", "--for", "2h")
	if s.result.Outcome != helper.TooLong {
		t.Errorf("unlock: %+v", s.result)
	}
	s.mustBeGone(t, "refused")
}
