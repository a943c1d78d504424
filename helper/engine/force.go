package engine

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/protected"
	"immutray.org/helper/text"
)

// lockForce locks, and sets the property even if there are writers. Then nothing more can be
// opened for writing, but the writers go on: they can write to what they have open, and one
// that writes to a mapping is killed by SIGBUS (CONTRIBUTING.md, "Design decisions"). The
// person was warned, and polkit has asked for an administrator's password.
//
// A command of "immutectl run" loses its write access. A package manager is never interrupted:
// packages would stay half unpacked.
func (e *Engine) lockForce(ctx context.Context, paths []*protected.Path, result *helper.Result) error {
	if err := e.mayLock(paths, result); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.Config.Drain)
	defer cancel()
	var all error
	var forced []*protected.Path
	for _, c := range e.lockPaths(ctx, paths) {
		var blocked *blockedError
		if errors.As(c.err, &blocked) && onlyBlocked(c.err) && c.Btrfs {
			c.notice = stillWriting(blocked)
			if c.err = closeToNewWrites(c.Path, packageManagerIdle); c.err == nil {
				forced = append(forced, c.Path)
				addWriters(result, blocked.writers)
			}
		}
		all = join(all, c.err)
		if c.notice != "" && c.err == nil {
			result.Notices = append(result.Notices, c.notice)
		}
	}
	e.closeWhatCanBe(ctx, forced)
	if all != nil {
		return all
	}
	if len(result.Before.Runs) > 0 {
		result.Notices = append(result.Notices, commands(result.Before.Runs)+" can no longer write")
	}
	for _, p := range paths {
		if got := p.Status().State; got != helper.Locked && got != helper.OpenMount {
			return fmt.Errorf("%q should be locked or an open mount now, but is %s", p.Name, got)
		}
	}
	return nil
}

// closeToNewWrites sets the property of a path that is in use, and the mount flag if the path
// is used through another mount. A package manager that starts at this moment takes its lock
// before it opens a file: so the lock is checked once more when nothing new can be opened, and
// if it is taken the path becomes what it was.
func closeToNewWrites(p *protected.Path, idle func() error) error {
	before := p.Status()
	if before.Superblock == helper.ReadOnly {
		if err := p.MakeSuperblockWritable(); err != nil {
			return fmt.Errorf("cannot lock %q: could not make its file system writable to set the property: %w", p.Name, err)
		}
	}
	if before.Property != helper.ReadOnly {
		if err := idle(); err != nil {
			return err
		}
		if err := p.SetProperty(true); err != nil {
			return fmt.Errorf("cannot lock %q: could not set the property: %w", p.Name, err)
		}
		if err := idle(); err != nil {
			return join(err, p.SetProperty(false))
		}
	}
	if err := p.SetMountReadOnly(true); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("cannot lock %q: %w", p.Name, text.Because(err))
	}
	return nil
}

// stillWriting names what can go on writing to a path that was locked by force.
func stillWriting(e *blockedError) string {
	known, unknown := certain(e.writers)
	switch {
	case len(known) > 0:
		return fmt.Sprintf("what is open on %q can still be written to, by %s", e.path, describeSome(known))
	case len(unknown) > 0:
		return fmt.Sprintf("what is open on %q can still be written to if %s, which cannot be inspected, has it open", e.path, describeSome(unknown))
	}
	return fmt.Sprintf("what is open on %q can still be written to, by a program that could not be found", e.path)
}
