package tray

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/inforce"
	"immutray.org/helper/islands"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/packagemanager"
	"immutray.org/helper/protected"
	"immutray.org/notify"
)

const (
	// configEvery is how often the configuration is looked at. No one waits for it,
	// and each look wakes the machine.
	configEvery = time.Minute
	// watchAgain is how soon the state is read where it can't be watched: when the
	// user's share of inotify instances is used up, for instance.
	watchAgain = 10 * time.Second
)

// A machine is the machine: what its configuration protects, and how that is now.
type machine struct {
	// Config is where the configuration comes from.
	Config inforce.Source
	Clock  notify.Clock
	// Failed is called once with the reason why the state can't be watched, only read now
	// and then.
	Failed func(error)

	loadConfig  func() config.Config // nil means that of Config
	watchReader func(*lockstate.Reader, context.Context, func(helper.Status)) error

	mu     sync.Mutex
	config config.Config
}

// Read returns what is so now.
func (s *machine) Read() report {
	s.load()
	return s.report(nil)
}

// IsBusy reports whether a package manager that a lock was refused for still has its
// own lock, or a command of "immutectl run" still runs.
func (s *machine) IsBusy(h helper.Busy) bool {
	if h.Kind() != helper.BusyRun {
		return packagemanager.StillRuns(h)
	}
	return slices.ContainsFunc(s.Read().Status.Runs, func(r helper.Run) bool { return r.PID == h.PID })
}

// Watch calls changed with a report now, and with every new one, until ctx ends.
func (s *machine) Watch(ctx context.Context, changed func(report)) error {
	failed := false
	for ctx.Err() == nil {
		s.load()
		if err := s.watchOnce(ctx, changed); err != nil {
			if !failed && s.Failed != nil {
				s.Failed(err)
				failed = true
			}
			changed(s.report(nil))
			s.sleep(ctx, watchAgain)
		}
	}
	return nil
}

// watchOnce watches until ctx ends or another configuration is in force.
func (s *machine) watchOnce(ctx context.Context, changed func(report)) error {
	watched := s.loaded()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watcher sync.WaitGroup
	defer watcher.Wait()
	watcher.Add(1)
	go func() {
		defer watcher.Done()
		defer cancel()
		for ctx.Err() == nil && sameConfig(s.inForce(), watched) {
			s.sleep(ctx, configEvery)
		}
	}()
	watch := s.watchReader
	if watch == nil {
		watch = (*lockstate.Reader).Watch
	}
	err := watch(lockstate.For(watched), ctx, func(status helper.Status) { changed(s.report(&status)) })
	cancel()
	return err
}

func (s *machine) sleep(ctx context.Context, d time.Duration) {
	passed, stop := s.Clock.After(d)
	defer stop()
	select {
	case <-passed:
	case <-ctx.Done():
	}
}

func (s *machine) load() {
	c := s.inForce()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = c
}

func (s *machine) loaded() config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}

func (s *machine) inForce() config.Config {
	if s.loadConfig != nil {
		return s.loadConfig()
	}
	return s.Config.Load()
}

// sameConfig reports whether two configurations are alike in all that is shown of them.
func sameConfig(a, b config.Config) bool {
	why := fmt.Sprint(a.Refused) == fmt.Sprint(b.Refused)
	a.Refused, b.Refused = nil, nil
	return why && reflect.DeepEqual(a, b)
}

// report adds to a status, or to what is so now, why the machine can't be locked.
func (s *machine) report(status *helper.Status) report {
	c := s.loaded()
	if status == nil {
		now := lockstate.For(c).Read()
		status = &now
	}
	reasons, frozen := unprepared(c)
	return report{Status: *status, NotReady: reasons, Frozen: frozen, UnlockMax: c.UnlockMax, RelockOn: c.RelockOn}
}

// unprepared returns why the machine can't be locked as it is, and what is read-only
// with it when it is locked all the same. What can't be found out is no reason:
// the helper looks again, as root.
func unprepared(cfg config.Config) (reasons, frozen []string) {
	var paths []*protected.Path
	for _, name := range cfg.Paths {
		p, err := protected.Open(name)
		switch {
		case err == nil:
			defer p.Close()
			paths = append(paths, p)
		case errors.Is(err, protected.ErrUnfit):
			reasons = append(reasons, err.Error())
		}
	}
	if found, err := islands.Find(cfg, paths); err == nil && len(found.Frozen) > 0 {
		reasons = append(reasons, "no subvolume or file system of its own: "+strings.Join(islands.Paths(found.Frozen), ", "))
		frozen = islands.Notices(found.Frozen)
	}
	if reasons == nil {
		return nil, nil
	}
	return reasons, frozen
}
