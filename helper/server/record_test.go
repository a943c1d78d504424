package server

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/journal"
)

// Whoever may ask to unlock may say why; it is clean before it is recorded.
func TestServeTakesAReason(t *testing.T) {
	f := newFixture(t)
	r, code := f.serve(t, uid("65534"), "unlock", "--for", "30m", "--reason", "a\x1b[31m")
	if code != helper.ExitDone || r.Request.Reason != `a\x1b[31m` {
		t.Errorf("exit %d, reason %q", code, r.Request.Reason)
	}
	if got := f.records[0].Fields[journal.Reason]; got != `a\x1b[31m` {
		t.Errorf("who asks is recorded with the reason %q", got)
	}
	f = newFixture(t)
	f.serve(t, uid("65534"), "unlock")
	if got, there := f.records[0].Fields[journal.Reason]; there {
		t.Errorf("no reason is recorded as %q", got)
	}
}

// A system that root locks with another configuration is not the machine.
func TestRecordsNameAnotherConfiguration(t *testing.T) {
	for named, want := range map[string]string{"": "", "/etc/immutray/config.toml": "", "/etc/other.toml": "/etc/other.toml"} {
		f := newFixture(t)
		f.server.run = func(e *engine.Engine, _ context.Context, r helper.Request) *helper.Result {
			e.Journal(journal.Entry{MessageID: engine.MessageOutcome, Fields: map[string]string{}})
			return &helper.Result{Request: r, Outcome: helper.Done}
		}
		f.server.machine = fakeMachine{elsewhere: true}
		args := []string{"seal"}
		if named != "" {
			args = append(args, "--config", named)
		}
		f.serve(t, nil, args...)
		last := f.records[len(f.records)-1]
		if got := last.Fields[journal.Config]; last.MessageID != engine.MessageOutcome || got != want {
			t.Errorf("with the configuration %q the record %s has %q, want %q", named, last.MessageID, got, want)
		}
	}
}

// A command that root runs is recorded as every request is.
func TestRecordOfACommand(t *testing.T) {
	e := askedToRun(config.Config{LogCommandLines: true}, helper.Run{ID: "4f", User: "root", Reason: "new kernel", Command: []string{"apt", "a\nb"}}, os.Getppid())
	if e.MessageID != MessageAsked || e.Message != "root asks to run" {
		t.Errorf("%+v", e)
	}
	for field, want := range map[string]string{
		journal.Verb: "run", journal.Request: "4f", journal.User: "root", journal.UID: "0", journal.Reason: "new kernel", journal.Command: `apt "a\nb"`,
	} {
		if got := e.Fields[field]; got != want {
			t.Errorf("%s=%q, want %q", field, got, want)
		}
	}
	if e.Fields["IMMUTRAY_LOGINUID"] == "" || e.Fields["IMMUTRAY_PARENT_PID"] == "" {
		t.Errorf("who asks is missing in %+v", e.Fields)
	}
}

// What can't be kept for those who can't read the journal costs them that, and no lock.
func TestRecordsThatCannotBeKept(t *testing.T) {
	f := newFixture(t)
	f.server.machine = fakeMachine{elsewhere: true}
	f.server.run = func(e *engine.Engine, _ context.Context, r helper.Request) *helper.Result {
		e.Journal(journal.Entry{MessageID: engine.MessageIntent, Fields: map[string]string{}})
		e.Journal(journal.Entry{MessageID: engine.MessageOutcome, Fields: map[string]string{}})
		return &helper.Result{Request: r, Outcome: helper.Done}
	}
	var kept []string
	f.server.keepRecord = func(dir string, e journal.Entry) error {
		kept = append(kept, dir+" "+e.MessageID)
		return errors.New("cannot keep the history: no room")
	}
	r, code := f.serve(t, nil, "seal")
	if code != helper.ExitDone || !slices.Equal(r.Notices, []string{"cannot keep the history: no room"}) {
		t.Errorf("exit %d, notices %q", code, r.Notices)
	}
	dir := config.Default().StateDir
	if want := []string{dir + " " + engine.MessageIntent, dir + " " + engine.MessageOutcome}; !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
}
