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

// lock locks every path that can be locked. A path that can't be locked does not stop it: the
// safe direction is always towards locked. If the system is locked for all but a command,
// nothing is done: the end of the command sets the property.
func (e *Engine) lock(ctx context.Context, paths []*protected.Path, result *helper.Result) error {
	if before := result.Before; before.State == helper.Locked && slices.ContainsFunc(before.Paths, before.Granted) {
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
	ctx, forced := lineOf(e.Config.StateDir).untilForced(ctx)
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

// mayLock returns why there must be no lock at all.
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
	busy, err := packagemanager.Running()
	if err != nil {
		return fmt.Errorf("cannot lock: %w", text.Because(err))
	}
	if busy != nil {
		return &packageManagerError{*busy}
	}
	return nil
}

// repairSuperblock undoes a superblock remount, such as the script of the classic layout makes
// on an idle system: with both flags of the path set, it only makes /home read-only too. If the
// file system refuses, it has a reason, such as an error that made it read-only; the path is
// locked all the same.
func repairSuperblock(p *protected.Path, before helper.PathStatus) (notice string) {
	if !p.Btrfs || before.Superblock != helper.ReadOnly || p.Status().Superblock != helper.ReadOnly {
		return ""
	}
	if err := p.MakeSuperblockWritable(); err != nil {
		return fmt.Sprintf("the whole file system of %q stays read-only, with the other directories on it: %v", p.Name, err)
	}
	return ""
}
