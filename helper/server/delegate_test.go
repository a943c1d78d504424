package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/systemd"
)

var done, failed = systemd.End{Result: "done", Status: -1}, systemd.End{Result: "failed", Status: helper.ExitFailed}

// units stands in for PID 1: it runs what a unit would run, and like systemd makes one
// run of several starts while a run is going on.
type units struct {
	run func(unit string) systemd.End

	mu      sync.Mutex
	running map[string]chan struct{}
	starts  int
}

func (u *units) Start(ctx context.Context, unit string) (systemd.End, error) {
	u.mu.Lock()
	u.starts++
	if over := u.running[unit]; over != nil {
		u.mu.Unlock()
		<-over
		return done, nil
	}
	over := make(chan struct{})
	if u.running == nil {
		u.running = map[string]chan struct{}{}
	}
	u.running[unit] = over
	u.mu.Unlock()

	result := u.run(unit)

	u.mu.Lock()
	delete(u.running, unit)
	close(over)
	u.mu.Unlock()
	return result, nil
}

// delegating is a fixture on a machine with systemd, whose units do what the units of
// ours do.
type delegating struct {
	*fixture
	config config.Config
	units  *units
	worker *fixture
}

func newDelegating(t *testing.T) *delegating {
	d := &delegating{fixture: newFixture(t), worker: newFixture(t), config: config.Default()}
	d.config.StateDir = stateDir(t)
	load := func(string) (config.Config, error) { return d.config, nil }
	d.units = &units{run: d.work}
	d.server.load, d.server.machine, d.server.jobs = load, fakeMachine{booted: true}, d.units
	d.worker.server.load, d.worker.server.machine = load, fakeMachine{booted: true}
	return d
}

// work runs the helper as the unit does.
func (d *delegating) work(unit string) systemd.End {
	verb := strings.TrimSuffix(strings.TrimPrefix(unit, "immutray-"), ".service")
	s := *d.worker.server // two units may run at the same time
	s.stdout, s.stderr = io.Discard, io.Discard
	if s.serve(context.Background(), []string{helper.HelperPath, verb, "--work"}, nil) == 0 {
		return done
	}
	return failed
}

func (d *delegating) queue() queue {
	q, _ := openQueue(d.config.StateDir)
	return q
}

func TestDelegate(t *testing.T) {
	d := newDelegating(t)
	r, code := d.serve(t, uid("65534"), "unlock", "--for", "30m")
	if code != 0 || r.Outcome != helper.Done {
		t.Fatalf("exit %d, %+v", code, r)
	}
	if len(d.worked) > 0 {
		t.Errorf("the server itself worked: %+v", d.worked)
	}
	if want := []helper.Request{r.Request}; !slices.Equal(d.worker.worked, want) || r.Request.User != "nobody" || r.Request.For != 30*time.Minute {
		t.Errorf("the unit worked for %+v, want %+v", d.worker.worked, want)
	}
	if names := d.queue().names(t); len(names) > 0 {
		t.Errorf("left in the queue: %q", names)
	}
	if d.units.starts != 1 {
		t.Errorf("%d starts, want 1", d.units.starts)
	}
}

// A unit that failed, because it was blocked for instance, has answered all the same.
func TestDelegateBlocked(t *testing.T) {
	d := newDelegating(t)
	d.worker.server.run = func(_ *engine.Engine, _ context.Context, r helper.Request) *helper.Result {
		return &helper.Result{Request: r, Outcome: helper.Blocked, Error: "cannot lock", Writers: []helper.Writer{{PID: 7}}}
	}
	if r, code := d.serve(t, nil, "lock"); code != helper.ExitBlocked || len(r.Writers) != 1 {
		t.Errorf("exit %d, %+v, want the unit's answer", code, r)
	}
}

// Our start can be merged with a run that looked at the queue before we did, however
// that one ends.
func TestDelegateStartsAgainAfterMerge(t *testing.T) {
	for _, merged := range []systemd.End{done, {Result: "failed", Merged: true, Status: helper.ExitBlocked}} {
		d := newDelegating(t)
		first := true
		d.units.run = func(unit string) systemd.End {
			if first {
				first = false
				return merged
			}
			return d.work(unit)
		}
		if r, code := d.serve(t, nil, "lock"); code != 0 || d.units.starts != 2 || len(d.worker.worked) != 1 {
			t.Errorf("exit %d, %+v, %d starts after %+v, worked %+v, want the second start to work", code, r, d.units.starts, merged, d.worker.worked)
		}
	}
}

// What failed before it took the request would fail again: the caller learns it at once,
// and why if that is known.
func TestDelegateUnitNeverWorks(t *testing.T) {
	const (
		prefix = "cannot have systemd start immutray-lock.service: "
		suffix = `; see "journalctl -u immutray-lock.service"`
	)
	for _, test := range []struct {
		end    systemd.End
		code   int
		why    string
		starts int
	}{
		{failed, helper.ExitFailed, "it ended (failed, exit status 1) before it began to work", 1},
		{systemd.End{Result: "failed", Status: 203}, helper.ExitFailed, "it ended (failed, exit status 203) before it began to work", 1},
		{systemd.End{Result: "failed", Status: helper.ExitConfigRefused}, helper.ExitConfigRefused, "configuration refused", 1},
		{systemd.End{Result: "failed", Status: -1}, helper.ExitFailed, "it ended (failed) before it began to work", 1},
		{systemd.End{Result: "canceled", Status: -1}, helper.ExitFailed, "it ended (canceled) before it began to work", 1},
		{done, helper.ExitFailed, "it ended (done) before it began to work", maxStarts},
	} {
		d := newDelegating(t)
		d.units.run = func(string) systemd.End { return test.end }
		r, code := d.serve(t, nil, "lock")
		if want := prefix + test.why + suffix; code != test.code || r.Outcome.ExitCode() != code || r.Error != want || d.units.starts != test.starts {
			t.Errorf("exit %d, %q after %d starts, want exit %d, %q after %d", code, r.Error, d.units.starts, test.code, want, test.starts)
		}
		if names := d.queue().names(t); len(names) > 0 {
			t.Errorf("left in the queue: %q: a later run would do what was reported as failed", names)
		}
	}
}

func TestDelegateUnitDies(t *testing.T) {
	d := newDelegating(t)
	d.units.run = func(string) systemd.End {
		if _, ok, err := d.queue().take(helper.Lock); !ok || err != nil {
			t.Errorf("take() = %t, %v", ok, err)
		}
		return failed
	}
	r, code := d.serve(t, nil, "lock")
	want := `cannot get the result of immutray-lock.service: it ended without an answer; see "journalctl -u immutray-lock.service"`
	if code != helper.ExitFailed || r.Error != want || d.units.starts != 1 {
		t.Errorf("exit %d, %q after %d starts, want %q", code, r.Error, d.units.starts, want)
	}
}

// The run that took our request may be another's and go on when ours is over.
func TestDelegateAwaitsAnothersRun(t *testing.T) {
	d := newDelegating(t)
	finish := make(chan struct{})
	d.units.run = func(string) systemd.End {
		q := d.queue()
		stop, err := q.work()
		if err != nil {
			t.Error(err)
		}
		r, _, err := q.take(helper.Lock)
		if err != nil {
			t.Error(err)
		}
		go func() {
			<-finish
			if err := q.reply(&helper.Result{Request: r, Outcome: helper.Done}); err != nil {
				t.Error(err)
			}
			stop()
		}()
		return done
	}
	close(finish)
	if r, code := d.serve(t, nil, "lock"); code != 0 {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func TestDelegateGivesUp(t *testing.T) {
	d := newDelegating(t)
	ctx, cancel := context.WithTimeout(context.Background(), 1)
	defer cancel()
	<-ctx.Done()
	d.server.jobs = startFunc(func(ctx context.Context, _ string) (systemd.End, error) { return systemd.End{}, ctx.Err() })
	code := d.server.serve(ctx, []string{"x", "lock"}, nil)
	r := parseOutput(t, d.out.String())
	if want := "cannot wait for immutray-lock.service any longer; it may still be running"; code != helper.ExitFailed || r.Error != want {
		t.Errorf("exit %d, %q, want %q", code, r.Error, want)
	}
	d.out.Reset()
	d.server.jobs = startFunc(func(context.Context, string) (systemd.End, error) {
		return systemd.End{}, errors.New("Unit immutray-lock.service not found.")
	})
	code = d.server.serve(context.Background(), []string{"x", "lock"}, nil)
	r = parseOutput(t, d.out.String())
	if want := "cannot have systemd start immutray-lock.service: Unit immutray-lock.service not found."; code != helper.ExitFailed || r.Error != want {
		t.Errorf("exit %d, %q, want %q", code, r.Error, want)
	}
	if names := d.queue().names(t); len(names) > 0 {
		t.Errorf("left in the queue: %q", names)
	}
}

type startFunc func(ctx context.Context, unit string) (systemd.End, error)

func (f startFunc) Start(ctx context.Context, unit string) (systemd.End, error) { return f(ctx, unit) }

// Every one of many that ask at the same time gets the answer to its own request, and
// nothing is done twice.
func TestDelegateManyAtOnce(t *testing.T) {
	d := newDelegating(t)
	const each = 8
	var wg sync.WaitGroup
	errs := make(chan error, 2*each)
	for _, verb := range []helper.Verb{helper.Lock, helper.Unlock} {
		for i := range each {
			wg.Add(1)
			go func() {
				defer wg.Done()
				r := helper.Request{Verb: verb, ID: helper.NewID(), UID: uint32(i)}
				got, err := d.server.delegate(context.Background(), d.config, r)
				if err != nil || got.Request != r || got.Outcome != helper.Done {
					errs <- fmt.Errorf("%+v: %+v, %v", r, got, err)
				}
			}()
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	times := map[string]int{}
	for _, r := range d.worker.worked {
		times[r.ID]++
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("request %s was worked off %d times", id, n)
		}
	}
	if names := d.queue().names(t); len(names) > 0 {
		t.Errorf("left in the queue: %q", names)
	}
}

func TestWorkWithoutRequest(t *testing.T) {
	d := newDelegating(t)
	r, code := d.worker.serve(t, nil, "lock", "--work")
	if code != 0 || len(d.worker.worked) != 1 || d.worker.worked[0].User != "root" {
		t.Errorf("lock: exit %d, %+v, worked %+v, want root's own lock", code, r, d.worker.worked)
	}
	r, code = d.worker.serve(t, nil, "unlock", "--work")
	if want := `cannot unlock: no request is waiting; use "immutectl"`; code != helper.ExitFailed || r.Error != want || len(d.worker.worked) != 1 {
		t.Errorf("unlock: exit %d, %q, worked %+v, want %q", code, r.Error, d.worker.worked, want)
	}
}

// The unit of a timer does not work off what waits for another.
func TestWorkWhenDue(t *testing.T) {
	d := newDelegating(t)
	put(t, d.queue(), helper.Request{Verb: helper.Lock, ID: "1"})
	r, code := d.worker.serve(t, nil, "lock", "--work", "--due")
	if code != 0 || len(d.worker.worked) != 1 || !r.Request.Due || r.Request.User != "root" {
		t.Errorf("exit %d, %+v, worked %+v", code, r, d.worker.worked)
	}
	if names := d.queue().names(t); !slices.Equal(names, []string{"lock.1"}) {
		t.Errorf("in the queue: %q", names)
	}
}

func TestDelegateRefusesQueueOfOthers(t *testing.T) {
	d := newDelegating(t)
	d.config.StateDir = t.TempDir() + "/none/none"
	if r, code := d.serve(t, nil, "lock"); code != helper.ExitFailed || !strings.HasPrefix(r.Error, "cannot prepare ") || d.units.starts > 0 {
		t.Errorf("exit %d, %+v, %d starts", code, r, d.units.starts)
	}
}
