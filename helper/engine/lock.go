package engine

import (
	"context"
	"fmt"
	"slices"

	"immutray.org/helper"
	"immutray.org/helper/packagemanager"
	"immutray.org/helper/protected"
	"immutray.org/helper/text"
)

// lock locks every path that can be locked. One that can't does not keep the others
// from it: toward locked is always the safe side. A system that is locked for all but a
// command is left to that: the end of the command sets the property.
func (e *Engine) lock(ctx context.Context, paths []*protected.Path, result *helper.Result) error {
	if before := result.Before; before.State == helper.Locked && slices.ContainsFunc(before.Paths, before.Lent) {
		result.Notices = append(result.Notices, "only "+commands(before.Runs)+" can still write, until it ends")
		return nil
	}
	if err := e.mayLock(paths, result); err != nil {
		return err
	}
	if err := noRuns(result.Before.Runs); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.drain(result.Request))
	defer cancel()
	ctx, forced := lineOf(e.Config.StateDir).whileNobodyForces(ctx)
	defer forced()
	var all error
	for _, c := range e.lockPaths(ctx, paths) {
		all = join(all, c.err)
		if c.notice != "" {
			result.Notices = append(result.Notices, c.notice)
		}
	}
	return verified(all, paths, helper.Locked)
}

// mayLock returns what speaks against locking at all.
func (e *Engine) mayLock(paths []*protected.Path, result *helper.Result) error {
	if err := packageManagerIdle(); err != nil {
		return err
	}
	for _, file := range packagemanager.LeftBehind() {
		result.Notices = append(result.Notices, fmt.Sprintf("a package manager that was killed has left %q behind, and can't run until you remove that file", file))
	}
	return e.mayFreeze(paths, result)
}

func packageManagerIdle() error {
	holder, err := packagemanager.Holder()
	if err != nil {
		return fmt.Errorf("cannot lock: %w", text.Because(err))
	}
	if holder != nil {
		return &packageManagerError{*holder}
	}
	return nil
}

// repairSuperblock undoes a superblock remount, such as the article's script makes on
// an idle system: with both flags of the path set it adds nothing but a read-only
// /home. A filesystem that refuses has a reason (an error made it read-only): the
// path is locked all the same.
func repairSuperblock(p *protected.Path, before helper.PathStatus) (notice string) {
	if !p.Btrfs || before.Superblock != helper.ReadOnly || p.Status().Superblock != helper.ReadOnly {
		return ""
	}
	if err := p.MakeSuperblockWritable(); err != nil {
		return fmt.Sprintf("the whole file system of %q stays read-only, with the other directories on it: %v", p.Name, err)
	}
	return ""
}
