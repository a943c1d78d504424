package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/packagemanager"
	"immutray.org/helper/protected"
	"immutray.org/helper/writers"
)

// lock locks every path that can be locked. One that can't does not keep the others
// from it: toward locked is always the safe side. A system that is locked for all but a
// command is left to that: the end of the command sets the property.
func (e *Engine) lock(ctx context.Context, paths []*protected.Path, result *helper.Result) error {
	if before := result.Before; before.State == helper.Locked && slices.ContainsFunc(before.Paths, before.Lent) {
		result.Notices = append(result.Notices, "only "+commands(before.Runs)+" can still write, and only until it ends")
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
	ctx, forced := line{filepath.Join(e.Config.StateDir, lineName)}.whileNobodyForces(ctx)
	defer forced()
	var all error
	for _, p := range paths {
		notice, err := e.lockPath(ctx, p)
		all = join(all, err)
		if notice != "" {
			result.Notices = append(result.Notices, notice)
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
		result.Notices = append(result.Notices, fmt.Sprintf("a package manager that was killed has left %q behind, and can't work before that is removed", file))
	}
	return e.mayFreeze(paths, result)
}

func packageManagerIdle() error {
	holder, err := packagemanager.Holder()
	if err != nil {
		return fmt.Errorf("cannot lock: %w", helper.Because(err))
	}
	if holder != nil {
		return &packageManagerError{*holder}
	}
	return nil
}

// lockPath locks one path, from whatever state it is in. ctx limits how long it waits
// for writers to finish.
func (e *Engine) lockPath(ctx context.Context, p *protected.Path) (notice string, err error) {
	before := p.Status()
	if before.Error != "" {
		return "", errors.New(before.Error)
	}
	return e.lockFrom(ctx, p, before)
}

// lockFrom is lockPath for a path that is in the state before.
func (e *Engine) lockFrom(ctx context.Context, p *protected.Path, before helper.PathStatus) (notice string, err error) {
	// What a program has written must be on the disk before its file can no longer be
	// written: afterwards it has no way to repeat it.
	if err := p.Sync(); err != nil {
		return "", fmt.Errorf("cannot lock %q: %w", p.Name, helper.Because(err))
	}
	if err := e.raiseBarrier(ctx, p); err != nil {
		return "", err
	}
	// From here on nobody begins to write but where the mount flag is not set yet.
	o, unreached, err := e.closeOthers(ctx, p, before)
	if err != nil {
		return "", join(err, lowerBarrier(p, before))
	}
	defer o.end()
	if p.Btrfs && before.Property != helper.ReadOnly {
		if err := e.setPropertyBehindBarrier(p, before, o); err != nil {
			return "", err
		}
	}
	notice, err = repairSuperblock(p, before)
	return sentences(unreached, e.remember(o), notice), err
}

// raiseBarrier sets the mount flag, trying again while the path is busy until ctx
// ends. On failure nothing has changed.
func (e *Engine) raiseBarrier(ctx context.Context, p *protected.Path) error {
	for {
		err := p.SetMountReadOnly(true)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EBUSY):
			return fmt.Errorf("cannot lock %q: %w", p.Name, helper.Because(err))
		case !sleep(ctx, retryEvery):
			return e.blocked(p, err)
		}
	}
}

// setPropertyBehindBarrier sets the property of a path whose mount flag is set,
// unless someone still writes where the mount flag does not reach. Then, as when a
// package manager has started meanwhile, it takes the mount flags back that this request
// has set.
func (e *Engine) setPropertyBehindBarrier(p *protected.Path, before helper.PathStatus, o *others) error {
	if err := e.quiet(p); err != nil {
		return join(err, o.reopen(), lowerBarrier(p, before))
	}
	if before.Superblock == helper.ReadOnly {
		// Through a read-only superblock not even a writable clone can set the property.
		if err := p.MakeSuperblockWritable(); err != nil {
			return fmt.Errorf("cannot lock %q: could not make its file system writable to set the property: %w", p.Name, err)
		}
	}
	if err := p.SetProperty(true); err != nil {
		return fmt.Errorf("cannot lock %q: could not set the property: %w", p.Name, err)
	}
	return nil
}

// quiet returns nil when nobody writes to the subvolume through another mount or in
// another mount namespace, and no package manager slipped in before the barrier.
func (e *Engine) quiet(p *protected.Path) error {
	if err := packageManagerIdle(); err != nil {
		return err
	}
	found, err := e.writers(p)
	var incomplete *writers.IncompleteError
	switch {
	case errors.As(err, &incomplete):
		return &blockedError{path: p.Name, writers: found, cause: err}
	case err != nil:
		return fmt.Errorf("cannot lock %q: %w", p.Name, helper.Because(err))
	case len(found) > 0:
		return &blockedError{path: p.Name, writers: found, cause: errElsewhere}
	}
	return nil
}

var errElsewhere = errors.New("through another mount of the same subvolume")

func lowerBarrier(p *protected.Path, before helper.PathStatus) error {
	if before.Mount == helper.ReadOnly {
		return nil
	}
	if err := p.SetMountReadOnly(false); err != nil {
		return fmt.Errorf("cannot make the mount of %q writable again: %w", p.Name, err)
	}
	return nil
}

// repairSuperblock undoes a superblock remount, such as the article's script makes on
// an idle system: with both flags of the path set it adds nothing but a read-only
// /home. A filesystem that refuses has a reason (an error made it read-only): the
// path is locked all the same.
func repairSuperblock(p *protected.Path, before helper.PathStatus) (notice string, err error) {
	if !p.Btrfs || before.Superblock != helper.ReadOnly || p.Status().Superblock != helper.ReadOnly {
		return "", nil
	}
	if err := p.MakeSuperblockWritable(); err != nil {
		return fmt.Sprintf("the whole file system of %q stays read-only, other directories on it too: %v", p.Name, err), nil
	}
	return "", nil
}

func (e *Engine) blocked(p *protected.Path, cause error) error {
	found, err := e.writers(p)
	if err != nil {
		cause = fmt.Errorf("%w (%w)", cause, helper.Because(err))
	}
	return &blockedError{path: p.Name, writers: found, cause: cause}
}

// writers returns who writes to a path, and what can't be ruled out to. A process of which
// not even that can be told makes it an error. A device that could not be placed does not:
// its file's path belongs to another mount namespace, as a container's swap file does.
func (e *Engine) writers(p *protected.Path) ([]helper.Writer, error) {
	if e.scanner == nil {
		e.scanner = new(writers.Scanner)
	}
	// Not the lock's own context: that one has ended when the drain time is over, and
	// just then the writers are asked for.
	found, err := e.scanner.Scan(context.Background(), []string{p.Name})
	var incomplete *writers.IncompleteError
	if errors.As(err, &incomplete) && incomplete.Processes == 0 {
		err = nil
	}
	return found, err
}
