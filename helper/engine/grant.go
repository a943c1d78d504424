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

// endTimeout is how long the end of a command waits for its turn, and how long it searches for
// processes that were left behind. The write access ends within a second, whatever else is
// going on: the safe direction is always towards locked.
const endTimeout = 250 * time.Millisecond

// A Grant is the write access of one command while the system is locked for everything else:
// the property is cleared, the mount flags stay set, and only in the command's mount namespace
// are they cleared too. The holder of the grant makes that namespace, and ends the grant when
// the command has ended.
//
// Grants are counted by their records; the end of the last one sets the property again. While
// there is a grant the system counts as locked (helper.Status.SetRuns), and only a lock by
// force takes the access away. The end of a grant does not undo an unlock.
type Grant struct {
	engine *Engine
	run    helper.Run
	paths  []*protected.Path
	record *records.Record
	open   map[string]bool // the paths that were unlocked at the start
	again  bool            // taken over from a holder that is dead
	beside []string        // what else can be written through, and was allowed
	told   map[string]bool // the mount points of those

	notices []string // of the beginning, for the record of the end
}

// Grant begins the grant for a command, after the requests that came before. Without a grant
// the result says why there is none; if its outcome is Done, every path is unlocked already,
// and there is nothing to grant or to end. A system-wide command gets a record, but no access:
// the caller has to unlock, to lock after End, and then to call Forget.
func (e *Engine) Grant(ctx context.Context, run helper.Run) (*Grant, *helper.Result) {
	return e.beginGrant(ctx, &Grant{run: run})
}

// TakeOver is Grant for a command whose grant was held by a process that is dead. The command
// still has its write access, unless there was a lock since.
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
			return // there is no grant, and the unlock and the lock have their own records
		}
		// Also the intent: after a power cut it is the only trace of the command.
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

// SetNamespace records the mount namespace of the command.
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

// runAround returns the command of "immutectl run" in whose mount namespace this process is, if
// there is one. What is writable in there is writable for that command alone.
func (e *Engine) runAround() (around helper.Run, within bool) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/mnt", &st); err != nil {
		return around, false
	}
	atWork, _ := records.List(e.Config.StateDir) // unreadable records are among them
	i := slices.IndexFunc(atWork, func(r helper.Run) bool { return r.Namespace == st.Ino })
	if i < 0 {
		return around, false
	}
	return atWork[i], true
}

// openPaths opens the paths of the grant. If the grant is taken over, these are the paths that
// were opened then, whatever the configuration says now.
func (g *Grant) openPaths() error {
	var recorded statefile.State
	if g.again {
		recorded, _ = statefile.Read(g.engine.Config.StateDir) // without it, the configuration counts
	}
	t := openTargets(g.engine.Config, recorded)
	g.paths = t.paths
	if len(t.paths) > 0 && (g.again || g.run.IgnoreConfig) {
		return nil
	}
	return t.err()
}

// may returns why there must be no grant.
func (g *Grant) may(result *helper.Result) error {
	before := *result.Before
	if g.run.SystemWide {
		// Unlocking repairs what there is. Islands that are read-only then are named at the
		// end.
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
			// With the property cleared every program could write.
			return fmt.Errorf("cannot run the command: the mount flag of %q is not set, so that others could write too", p.Path)
		case p.Superblock == helper.ReadOnly:
			return fmt.Errorf("cannot run the command: the whole file system of %q is read-only", p.Path)
		}
	}
	return nil
}

// noneForced returns an error if a lock by force has taken the write access of another command
// that still runs: clearing the property would give it back.
func (g *Grant) noneForced(before helper.Status) error {
	if g.again || slices.ContainsFunc(before.Paths, before.Granted) {
		return nil
	}
	others, _ := records.List(g.engine.Config.StateDir) // unreadable records are among them
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
	// Every mount that can be closed is closed, because one path may be above another.
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

// noRuns returns an error if there are commands: a lock would interrupt their changes half-way,
// as it would a package manager's.
func noRuns(atWork []helper.Run) error {
	if len(atWork) == 0 {
		return nil
	}
	return &packageManagerError{helper.Busy{
		Manager: helper.RunManager, PID: atWork[0].PID, Program: atWork[0].Program(),
	}}
}

// commands names commands.
func commands(atWork []helper.Run) string {
	names := make([]string, len(atWork))
	for i, r := range atWork {
		names[i] = fmt.Sprintf("%q (pid %d)", r.Program(), r.PID)
	}
	return strings.Join(names, ", ")
}
