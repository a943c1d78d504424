package engine

import (
	"context"
	"fmt"
	"slices"

	"immutray.org/helper"
	"immutray.org/helper/protected"
	"immutray.org/helper/text"
)

// seal is the lock at boot. Unlike for a person's lock, no one is there to try again: if there
// are writers, it does what can be done without harming them.
func (e *Engine) seal(ctx context.Context, paths []*protected.Path, result *helper.Result) error {
	err := e.lock(ctx, paths, result)
	if err == nil || !onlyBlocked(err) {
		return err
	}
	for _, p := range paths {
		err = join(err, e.refuseNewWrites(p))
	}
	return err
}

// refuseNewWrites sets the property of a path that is blocked. A file that is open can still be
// written to, so its program is not harmed; a program that has mapped one, a loop device and a
// swap file would be (CONTRIBUTING.md, "Design decisions").
func (e *Engine) refuseNewWrites(p *protected.Path) error {
	status := p.Status()
	if !p.Btrfs || status.Property != helper.Writable || status.Superblock != helper.Writable {
		return nil
	}
	found, err := e.writers(context.Background(), p)
	if err != nil {
		return fmt.Errorf("cannot seal %q: %w", p.Name, text.Because(err))
	}
	if slices.ContainsFunc(found, func(w helper.Writer) bool { return w.Kind != helper.WriterFile }) {
		return nil
	}
	if err := p.SetProperty(true); err != nil {
		return fmt.Errorf("cannot seal %q: could not set the property: %w", p.Name, err)
	}
	return nil
}
