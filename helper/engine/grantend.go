package engine

import (
	"context"
	"fmt"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/bound"
	"immutray.org/helper/protected"
	"immutray.org/helper/run/records"
	"immutray.org/helper/writers"
)

// End ends the grant. busy names the paths on which a process that the command has left behind
// may still have a file open for writing. End does not wait for such a process: it can go on
// writing to that file, and may crash if the file is mapped into memory (CONTRIBUTING.md,
// "Design decisions"). The result says so.
func (g *Grant) End(ctx context.Context, busy []string) *helper.Result {
	result := g.newResult()
	result.Notices = g.notices
	for _, p := range g.paths {
		for _, name := range busy {
			if p.Name == name {
				result.Notices = append(result.Notices, g.leftBehind(ctx, p))
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	inTurn := false
	err := g.engine.inTurn(ctx, func() error {
		inTurn = true
		err := g.finish(result)
		g.engine.noteEnd(err)
		return err
	})
	if !inTurn {
		err = g.finish(result)
	}
	result.Finished = time.Now()
	if err != nil {
		fail(result, err)
	}
	bound.Result(result)
	g.engine.logOutcome(result)
	closePaths(g.paths)
	return result
}

func (g *Grant) finish(result *helper.Result) error {
	before := g.engine.read(statuses(g.paths), nil)
	result.Before = &before
	err := g.takeBack(result)
	g.engine.wake()
	g.engine.noteFrozenBy(g.paths, result)
	after := g.engine.read(statuses(g.paths), nil)
	result.Status = &after
	return err
}

// takeBack sets the property again, unless another command needs it cleared, or there was an
// unlock meanwhile. What goes differently than planned is noted in result, which may be nil. If
// the property can't be set, the record stays as that of an abandoned command, and PID 1 starts
// another attempt (see Reclaim).
func (g *Grant) takeBack(result *helper.Result) error {
	note := func(format string, args ...any) {
		if result != nil {
			result.Notices = append(result.Notices, fmt.Sprintf(format, args...))
		}
	}
	g.record.Release()
	// Unreadable records of others do not keep the property from being set.
	if others, _ := records.List(g.engine.Config.StateDir); len(others) > 0 {
		g.forgetGrant()
		note("not locked yet: another command of \"immutectl run\" is still running (pid %d)", others[0].PID)
		return nil
	}
	var all error
	for _, p := range g.paths {
		s := p.Status()
		switch {
		case !p.Btrfs || s.Property == helper.ReadOnly:
			continue
		case s.Mount == helper.Writable:
			if !g.run.SystemWide && !g.open[p.Name] {
				note("%q was unlocked meanwhile, and stays so", p.Name)
			}
			continue
		}
		all = join(all, restore(p, s))
	}
	if all == nil {
		g.forgetGrant()
	}
	return all
}

func (g *Grant) forgetGrant() {
	if !g.run.SystemWide {
		g.record.Close()
	}
}

// Forget removes the record of a system-wide command, after the system was locked again. Since
// End it has been that of an abandoned command, because the process that is to lock may be
// killed before it has.
func (g *Grant) Forget() { g.record.Close() }

func restore(p *protected.Path, s helper.PathStatus) error {
	if s.Superblock == helper.ReadOnly {
		if err := p.MakeSuperblockWritable(); err != nil {
			return fmt.Errorf("cannot lock %q: could not make its file system writable to set the property: %w", p.Name, err)
		}
	}
	if err := p.SetProperty(true); err != nil {
		return fmt.Errorf("cannot lock %q: could not set the property: %w", p.Name, err)
	}
	return nil
}

// leftBehind names the processes that have files open for writing on a path, as far as they can
// be found in the time there is.
func (g *Grant) leftBehind(ctx context.Context, p *protected.Path) string {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	found, _ := new(writers.Scanner).Scan(ctx, []string{p.Name})
	who := "a process that the command left behind"
	if known, _ := certain(found); len(known) > 0 {
		who = describeSome(known)
	}
	return fmt.Sprintf("%s has files open for writing on %q: it can go on writing to them, and may crash if they are mapped into memory",
		who, p.Name)
}
