package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/journal"
	"immutray.org/helper/statefile"
)

// shortened is an engine whose configuration no longer names the root.
func (f *fixture) shortened() *Engine {
	e := *f.engine
	e.Config.Paths = []string{f.Etc}
	return &e
}

// What was granted is what is taken back, whatever takes it back.
func TestWhatWasLentIsTakenBackWhateverIsNamedByThen(t *testing.T) {
	for name, end := range map[string]func(*fixture, *Grant){
		"by another guardian": func(f *fixture, l *Grant) {
			l.record.Close() // as when the first is dead
			again, r := f.shortened().TakeOver(context.Background(), l.run)
			if again == nil {
				f.t.Fatalf("taken over: %s: %s", r.Outcome, r.Error)
			}
			if r := again.End(context.Background(), nil); r.Outcome != helper.Done {
				f.t.Errorf("returned: %s: %s", r.Outcome, r.Error)
			}
		},
		"by the next lock": func(f *fixture, l *Grant) {
			l.record.Close() // as when everybody who answers for it is dead
			r := f.shortened().Run(context.Background(), helper.Request{Verb: helper.Lock, ID: "next"})
			if r.Outcome != helper.Done {
				f.t.Errorf("lock: %s: %s", r.Outcome, r.Error)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			l := f.grant(helper.Run{})
			end(f, l)
			if s := f.status(); helper.OverallState(s.Paths) != helper.Locked {
				t.Errorf("the paths are %+v", s.Paths)
			}
			if state, err := statefile.Read(f.State); err != nil || state.Opened != nil {
				t.Errorf("on record as open: %+v, %v", state.Opened, err)
			}
		})
	}
}

func TestALoanWantsAConfigurationThatIsAccepted(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Lock)
	f.engine.Config.Refused = config.Refuse("/etc/immutray/config.toml", errors.New("line 1: unknown key pats"))
	l, r := f.engine.Grant(context.Background(), helper.Run{ID: "run", Command: []string{"vi"}})
	if l != nil || r.Outcome != helper.ConfigRefused {
		t.Fatalf("Grant() = %v, %s %s", l, r.Outcome, r.Error)
	}
	l, r = f.engine.Grant(context.Background(), helper.Run{ID: "run", Command: []string{"vi"}, EvenSo: true, IgnoreConfig: true})
	if l == nil {
		t.Fatalf("Grant() with the file ignored: %s %s", r.Outcome, r.Error)
	}
	f.giveBack(l)
}

// Only what was used with success is kept, and only of a file that was accepted.
func TestWhatIsKept(t *testing.T) {
	f := newFixture(t)
	var kept []config.Config
	var failing error
	f.engine.Keep = func(c config.Config) error {
		kept = append(kept, c)
		return failing
	}
	f.closeTop()
	busy := f.start("writes", f.Root+"/file")
	if r := f.run(helper.Lock); r.Outcome != helper.Blocked || kept != nil {
		t.Errorf("blocked: %s, kept %+v", r.Outcome, kept)
	}
	busy.stop()
	f.must(helper.Lock)
	f.must(helper.Unlock)
	if len(kept) != 2 || !slices.Equal(kept[1].Paths, f.Protected()) {
		t.Errorf("kept is %+v", kept)
	}
	failing = unix.EROFS // where that directory is protected
	if r := f.must(helper.Lock); len(r.Notices) > 0 {
		t.Errorf("notices %q", r.Notices)
	}
	failing = unix.ENOSPC
	if r := f.must(helper.Unlock); len(r.Notices) != 1 || !strings.Contains(r.Notices[0], "no space left") {
		t.Errorf("notices %q", r.Notices)
	}
	kept = nil
	f.engine.Config.Refused = config.ErrRefused
	if f.must(helper.Lock); kept != nil {
		t.Errorf("of a file that is refused %+v is kept", kept)
	}
}

// Whatever is in a file, an error about it is one line of limited length.
func TestTheJournalNamesARefusedConfiguration(t *testing.T) {
	f := newFixture(t)
	var records []journal.Entry
	f.engine.Journal = func(e journal.Entry) { records = append(records, e) }
	f.engine.Config.Refused = config.Refuse("/etc/immutray/config.toml", errors.New("bad "+strings.Repeat("x", 100<<10)+"\nworse"))
	r := f.must(helper.Lock)
	if len(r.Status.ConfigError) > 310 || strings.Contains(r.Status.ConfigError, "\n") {
		t.Errorf("it is told as %q", r.Status.ConfigError)
	}
	if len(records) != 2 {
		t.Fatalf("%d records, want intent and outcome", len(records))
	}
	for _, e := range records {
		if e.Fields[journal.ConfigError] != r.Status.ConfigError {
			t.Errorf("the record %q has %q", e.Message, e.Fields[journal.ConfigError])
		}
	}
	if !strings.Contains(records[1].Message, r.Status.ConfigError+helper.UsedInstead) {
		t.Errorf("the outcome says %q", records[1].Message)
	}
}
