package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/statedir"
)

// somePeople are logged in; with an error that cannot be counted.
type somePeople struct {
	count int
	err   error
}

func (p somePeople) People(context.Context) (int, error) { return p.count, p.err }

// relockFixture is a fixture with that in relock_on.
func relockFixture(t *testing.T, on ...helper.Occasion) (f *fixture, stateDir string) {
	f = newFixture(t)
	stateDir = filepath.Join(t.TempDir(), "state")
	f.server.load = func(string) (config.Config, error) {
		c := config.Default()
		c.RelockOn, c.StateDir, c.Drain = on, stateDir, time.Hour
		return c, nil
	}
	return f, stateDir
}

func TestRelockOnlyWhereTheConfigurationSaysSo(t *testing.T) {
	f, _ := relockFixture(t, helper.Logout, helper.ScreenLock)
	r, code := f.serve(t, nil, "lock", "--work", "--on", "sleep")
	if code != 0 || len(f.worked) > 0 || len(r.Notices) != 1 || r.Notices[0] != "not locked: relock_on does not name sleep" {
		t.Errorf("exit %d, %+v, worked %+v, want nothing done", code, r, f.worked)
	}
	f, _ = relockFixture(t, helper.Sleep)
	r, code = f.serve(t, nil, "lock", "--work", "--on", "sleep")
	if code != 0 || len(f.worked) != 1 || r.Request.On != helper.Sleep || r.Request.User != "root" {
		t.Errorf("exit %d, %+v, worked %+v, want it locked", code, r, f.worked)
	}
	f.server.logins = somePeople{count: 0}
	r, code = f.serve(t, nil, "lock", "--work", "--on", "logout")
	if code != 0 || len(f.worked) != 1 {
		t.Errorf("on logout: exit %d, %+v, worked %+v, want nothing more done", code, r, f.worked)
	}
}

// However long the drain time is, the machine goes to sleep.
func TestSleepDoesNotWaitForLong(t *testing.T) {
	f, _ := relockFixture(t, helper.Sleep)
	f.server.run = func(_ *engine.Engine, ctx context.Context, r helper.Request) *helper.Result {
		end, ok := ctx.Deadline()
		if left := time.Until(end); !ok || left > sleepTimeout {
			t.Errorf("the lock may take %v, want %v at most", left, sleepTimeout)
		}
		return &helper.Result{Request: r, Outcome: helper.Blocked, Error: "cannot lock: why"}
	}
	if r, code := f.serve(t, nil, "lock", "--work", "--on", "sleep"); code != helper.ExitBlocked {
		t.Errorf("exit %d, %+v, want that it is blocked", code, r)
	}
}

func TestRelockWhenTheLastPersonHasLoggedOut(t *testing.T) {
	f, stateDir := relockFixture(t, helper.Logout)
	step := func(what string, people somePeople, wantLocks, wantCode int) {
		t.Helper()
		f.server.logins = people
		r, code := f.serve(t, nil, "lock", "--work", "--on", "logout")
		if code != wantCode || len(f.worked) != wantLocks {
			t.Fatalf("%s: exit %d, %+v, locked %d times, want exit %d and %d times", what, code, r, len(f.worked), wantCode, wantLocks)
		}
	}
	outcome := helper.Done
	run := f.server.run
	f.server.run = func(e *engine.Engine, ctx context.Context, r helper.Request) *helper.Result {
		result := run(e, ctx, r)
		result.Outcome = outcome
		return result
	}
	step("no one has been there", somePeople{}, 0, 0)
	step("two log in", somePeople{count: 2}, 0, 0)
	step("nothing is known", somePeople{err: errors.New("no logind")}, 0, helper.ExitFailed)
	step("one logs out", somePeople{count: 1}, 0, 0)
	outcome = helper.Blocked
	step("the other too, and a writer is in the way", somePeople{}, 1, helper.ExitBlocked)
	outcome = helper.Done
	step("it is tried again", somePeople{}, 2, 0)
	step("a greeter comes", somePeople{}, 2, 0)
	step("one logs in", somePeople{count: 1}, 2, 0)
	if info, err := os.Stat(statedir.Dir(stateDir).People()); err != nil || info.Size() != 0 {
		t.Errorf("the mark: %v, %v", info, err)
	}
	step("and out", somePeople{}, 3, 0)
}

func TestRelockOnLogoutSaysWhyItCannot(t *testing.T) {
	f, stateDir := relockFixture(t, helper.Logout)
	f.server.logins = somePeople{err: errors.New("cannot tell who is logged in: no bus")}
	r, code := f.serve(t, nil, "lock", "--work", "--on", "logout")
	if want := "cannot lock on logout: could not tell who is logged in: no bus"; code != helper.ExitFailed || r.Error != want {
		t.Errorf("exit %d, %q, want %q", code, r.Error, want)
	}
	if err := os.WriteFile(stateDir, nil, 0o600); err != nil { // a file where the directory should be
		t.Fatal(err)
	}
	f.server.logins = somePeople{count: 1}
	r, code = f.serve(t, nil, "lock", "--work", "--on", "logout")
	if want := "cannot record that someone is logged in: "; code != helper.ExitFailed || !strings.HasPrefix(r.Error, want) {
		t.Errorf("exit %d, %q, want %q", code, r.Error, want)
	}
}
