package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/bound"
	"immutray.org/helper/config"
	"immutray.org/helper/journal"
	"immutray.org/helper/protected"
	"immutray.org/helper/run/records"
	"immutray.org/helper/statefile"
	"immutray.org/helper/text"
)

// returnPatience is how long the end of a command waits for its turn, and how long it
// looks for processes that were left behind. Write access ends within a second whatever
// else is going on: toward locked is always the safe side.
const returnPatience = 250 * time.Millisecond

// A Grant is the write access of one command while the system is locked for all others:
// the property is cleared, the mount flags stay, and only the command is in a mount
// namespace where they are cleared as well. Who holds the loan has to make that
// namespace, and to return the loan when the command has ended.
//
// Loans are counted by their records; the last that is returned sets the property
// again. While there is one the system counts as locked (helper.Status.SetRuns), and only
// a lock by force takes the access away. An unlock is not undone by the end of a loan.
type Grant struct {
	engine *Engine
	run    helper.Run
	paths  []*protected.Path
	record *records.Record
	open   map[string]bool // the paths that were unlocked at the start
	again  bool            // taken over from a holder that is dead
	beside []string        // what else can be written through, and is put up with
	told   map[string]bool // the mount points of those

	notices []string // of the beginning, for the record of the end
}

// Lend begins a loan for a command, after the requests that came before. Without one
// the result says why, or, if its outcome is Done, that every path is unlocked already:
// then there is nothing to lend and to return. A system-wide command is recorded, and no
// access lent: it is for the caller to unlock, and to lock after Return, and then to Forget.
func (e *Engine) Grant(ctx context.Context, run helper.Run) (*Grant, *helper.Result) {
	return e.beginGrant(ctx, &Grant{run: run})
}

// TakeOver is Lend for a command whose loan was held by a process that is dead. What that
// one lent is lent still, unless somebody has locked since.
func (e *Engine) TakeOver(ctx context.Context, run helper.Run) (*Grant, *helper.Result) {
	return e.beginGrant(ctx, &Grant{run: run, again: true})
}

func (e *Engine) beginGrant(ctx context.Context, g *Grant) (*Grant, *helper.Result) {
	g.engine, g.open, g.told = e.recording(g.run), map[string]bool{}, map[string]bool{}
	result := g.newResult()
	err := e.inTurn(ctx, func() error { return g.begin(ctx, result) })
	result.Finished = time.Now()
	if err != nil {
		fail(result, err)
	}
	bound.Result(result)
	if err != nil && result.Before != nil {
		g.engine.logOutcome(result)
	}
	if g.record == nil {
		closePaths(g.paths)
		return nil, result
	}
	return g, result
}

// recording returns an engine that names the command in its records.
func (e *Engine) recording(run helper.Run) *Engine {
	with := *e
	with.Journal = func(entry journal.Entry) {
		if run.SystemWide {
			return // nothing is lent, and the unlock and the lock are on record as such
		}
		// Also the intent: it is all that tells of a command if the machine loses its power.
		entry.Durable = true
		entry.Fields[journal.Command] = LoggedCommand(e.Config, run)
		e.log(entry)
	}
	return &with
}

// LoggedCommand is a command as the journal has it: the name of its program, unless the
// configuration wants more.
func LoggedCommand(c config.Config, run helper.Run) string {
	if !c.LogCommandLines {
		run = run.Named()
	}
	return text.CommandLine(run.Command, helper.MaxCommand)
}

// Show records the mount namespace of the command.
func (g *Grant) SetNamespace(namespace uint64) error {
	g.run.Namespace = namespace
	return g.record.Update(g.engine.Config.StateDir, g.run)
}

func (g *Grant) newResult() *helper.Result {
	r := g.run
	return &helper.Result{
		Request: helper.Request{Verb: helper.RunCommand, ID: r.ID, UID: r.UID, User: r.User, Reason: r.Reason},
		Outcome: helper.Done,
		Started: time.Now(),
	}
}

func (g *Grant) begin(ctx context.Context, result *helper.Result) error {
	if refused := g.engine.Config.Refused; refused != nil && !g.run.IgnoreConfig && !g.again {
		return refused
	}
	err := g.openPaths()
	if err != nil {
		return err
	}
	before := g.engine.read(statuses(g.paths), nil)
	result.Before, result.Status = &before, &before
	for _, p := range before.Paths {
		if p.State == helper.Unlocked && !g.again {
			g.open[p.Path] = true
		}
	}
	around, within := g.engine.runAround()
	switch {
	case within && g.run.SystemWide:
		return fmt.Errorf("cannot unlock the system from within %s: %w", commands([]helper.Run{around}), errWithin)
	case within:
		result.Notices = append(result.Notices, "started by "+commands([]helper.Run{around})+
			": it can write until that command ends, and the system stays locked for everything else")
		return nil
	case len(g.open) == len(g.paths):
		return nil
	}
	if err := g.may(result); err != nil {
		return err
	}
	g.engine.logIntent(result)
	if g.record, err = records.Put(g.engine.Config.StateDir, g.run); err != nil {
		return err
	}
	if !g.run.SystemWide && !g.again {
		g.engine.noteOpening()
		err = g.give(ctx, result)
		for _, at := range g.beside {
			result.Notices = append(result.Notices, at+" is writable, and shows the protected paths too")
		}
		g.notices = result.Notices
	}
	var kept error
	if err != nil {
		kept = g.takeBack(nil)
		err = join(err, kept)
		g.record = nil
	}
	g.engine.noteEnd(kept)
	g.engine.wake()
	after := g.engine.read(statuses(g.paths), nil)
	result.Status = &after
	return err
}

var errWithin = errors.New("its mounts are not those of the system")

// runAround returns the command of "immutectl run" in whose mount namespace this process
// is, if it is in one. What is writable in there is so for that command alone.
func (e *Engine) runAround() (around helper.Run, within bool) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/mnt", &st); err != nil {
		return around, false
	}
	atWork, _ := records.List(e.Config.StateDir) // those that can't be read are among them
	i := slices.IndexFunc(atWork, func(r helper.Run) bool { return r.Namespace == st.Ino })
	if i < 0 {
		return around, false
	}
	return atWork[i], true
}

// openPaths opens what is lent. When the loan is another's, that is what he has lent,
// whatever the configuration says by now.
func (g *Grant) openPaths() error {
	var recorded statefile.State
	if g.again {
		recorded, _ = statefile.Read(g.engine.Config.StateDir) // else the configuration counts
	}
	t := openTargets(g.engine.Config, recorded)
	g.paths = t.paths
	if len(t.paths) > 0 && (g.again || g.run.IgnoreConfig) {
		return nil
	}
	return t.err()
}

// may returns what speaks against lending.
func (g *Grant) may(result *helper.Result) error {
	before := *result.Before
	if g.run.SystemWide {
		// Unlocking repairs what there is. What is read-only then is said at the end.
		return g.engine.mayFreeze(g.paths, &helper.Result{Request: result.Request, Before: result.Before})
	}
	if err := g.noneForced(before); err != nil {
		return err
	}
	for _, p := range before.Paths {
		switch {
		case p.Error != "":
			return errors.New(p.Error)
		case p.OnTop != "":
			return fmt.Errorf("cannot run the command: something (%s) is mounted over %q", p.OnTop, p.Path)
		case p.State == helper.Unlocked:
		case p.Mount == helper.Writable:
			// With the property cleared everybody could write.
			return fmt.Errorf("cannot run the command: the mount flag of %q is not set, so that others could write too", p.Path)
		case p.Superblock == helper.ReadOnly:
			return fmt.Errorf("cannot run the command: the whole file system of %q is read-only", p.Path)
		}
	}
	return nil
}

// noneForced returns an error if a lock by force has ended the loan of another command
// that is at work still: it would get its write access back with the property.
func (g *Grant) noneForced(before helper.Status) error {
	if g.again || slices.ContainsFunc(before.Paths, before.Lent) {
		return nil
	}
	others, _ := records.List(g.engine.Config.StateDir) // those that can't be read are among them
	others = slices.DeleteFunc(others, func(r helper.Run) bool { return r.SystemWide })
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("cannot run the command: %s is still running after a lock by force took its write access", commands(others))
}

func (g *Grant) give(ctx context.Context, result *helper.Result) error {
	paths := slices.DeleteFunc(slices.Clone(g.paths), func(p *protected.Path) bool {
		return !p.Btrfs || p.Status().Property == helper.Writable
	})
	if len(paths) == 0 {
		return nil
	}
	// One path may lie above another: all that can be closed is.
	if err := g.engine.closeForRun(paths); err != nil {
		return err
	}
	if err := g.around(paths); err != nil {
		return err
	}
	for _, p := range paths {
		if err := g.engine.clearProperty(ctx, p, result); err != nil {
			return fmt.Errorf("cannot make %q writable for the command: %w", p.Name, text.Because(err))
		}
	}
	return nil
}

// noRuns returns an error if there are commands at work: a lock would take away from
// under one what it is changing, as from a package manager.
func noRuns(atWork []helper.Run) error {
	if len(atWork) == 0 {
		return nil
	}
	return &packageManagerError{helper.LockHolder{
		Manager: helper.RunManager, PID: atWork[0].PID, Program: atWork[0].Program(),
	}}
}

// commands names commands at work.
func commands(atWork []helper.Run) string {
	names := make([]string, len(atWork))
	for i, r := range atWork {
		names[i] = fmt.Sprintf("%q (pid %d)", r.Program(), r.PID)
	}
	return strings.Join(names, ", ")
}
