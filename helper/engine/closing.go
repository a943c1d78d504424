package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/protected"
	"immutray.org/helper/text"
	"immutray.org/helper/writers"
)

// A closing is the way of one path to locked.
type closing struct {
	*protected.Path
	before helper.PathStatus
	raised bool  // its barrier is
	busy   error // of the kernel; who is in the way is yet to be found
	err    error // why it can't be locked
	notice string
}

func (c *closing) note(text string) { c.notice = sentences(c.notice, text) }

// goesOn reports whether nothing is in the way so far.
func (c *closing) goesOn() bool { return c.busy == nil && c.err == nil }

// wantsProperty reports whether the property is to be set.
func (c *closing) wantsProperty() bool { return c.Btrfs && c.before.Property != helper.ReadOnly }

// goingOn returns those that nothing is in the way of so far.
func goingOn(all []*closing) []*closing {
	var some []*closing
	for _, c := range all {
		if c.goesOn() {
			some = append(some, c)
		}
	}
	return some
}

func pathsOf(all []*closing) []*protected.Path {
	paths := make([]*protected.Path, len(all))
	for i, c := range all {
		paths[i] = c.Path
	}
	return paths
}

func namesOf(paths []*protected.Path) []string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = p.Name
	}
	return names
}

// lockPaths locks paths, from whatever state they are in. One that can't be locked does not
// keep the others from it. ctx limits how long it waits for writers to finish.
func (e *Engine) lockPaths(ctx context.Context, paths []*protected.Path) []*closing {
	var all []*closing
	for _, p := range paths {
		c := &closing{Path: p, before: p.Status()}
		if c.before.Error != "" {
			c.err = errors.New(c.before.Error)
		}
		all = append(all, c)
	}
	e.close(ctx, all)
	return all
}

// close locks the paths step by step, all of them together: what looks at every process
// and at every mount namespace costs more than all the rest.
func (e *Engine) close(ctx context.Context, all []*closing) {
	for _, c := range goingOn(all) {
		// What a program has written must be on the disk before its file can no longer be
		// written: afterwards it has no way to repeat it.
		if err := c.Sync(); err != nil {
			c.err = fmt.Errorf("cannot lock %q: %w", c.Name, text.Because(err))
			continue
		}
		c.raiseBarrier(ctx)
	}
	look, cancel := lookAfter(ctx)
	defer cancel()
	// From here on nobody begins to write but where the mount flag is not set yet.
	o := e.closeOthers(ctx, goingOn(all))
	defer o.end()
	e.findWriters(look, all, o)
	for _, c := range goingOn(all) {
		if c.wantsProperty() {
			c.err = c.setProperty()
		}
		if c.err == nil {
			c.note(repairSuperblock(c.Path, c.before))
			c.note(outOfReach(c.Path, helper.Writable, "lock"))
		}
	}
	e.noteOnce(all, o)
}

// noteOnce says what concerns all of the paths with one of them.
func (e *Engine) noteOnce(all []*closing, o *others) {
	notice := e.remember(o)
	if slices.ContainsFunc(goingOn(all), (*closing).wantsProperty) {
		notice = sentences(notice, o.besideWords(pathsOf(all)))
	}
	for _, c := range goingOn(all) {
		c.note(notice)
		return
	}
}

// outOfReach says that the mount below what is on top of a subvolume still has another flag
// than was asked for.
func outOfReach(p *protected.Path, still helper.Flag, again string) string {
	if p.HiddenMount() != still {
		return ""
	}
	return fmt.Sprintf("something is mounted over %q, and keeps its own mount out of reach: %s once more when that is unmounted", p.Name, again)
}

// lookPatience is how long the looks into all namespaces and all processes may take, beside
// the drain time: with the default of that, whoever keeps them looking is named within 15 s.
// A machine that is slow has the drain time for it too, if nothing is busy.
const lookPatience = 9 * time.Second

// lookAfter returns the context of a look that may go on when the drain time, which ends
// with ctx, is over: just then it is asked who is in the way. A disk that has taken longer
// than the drain time leaves the look its own.
func lookAfter(ctx context.Context) (context.Context, context.CancelFunc) {
	end := time.Now()
	if drained, limited := ctx.Deadline(); limited && drained.After(end) {
		end = drained
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end.Add(lookPatience))
}

// raiseBarrier sets the mount flag of the path itself.
func (c *closing) raiseBarrier(ctx context.Context) {
	err := raiseBarrier(ctx, c.Path)
	switch {
	case err == nil:
		c.raised = true
	case errors.Is(err, unix.EBUSY):
		c.busy = err
	default:
		c.err = fmt.Errorf("cannot lock %q: %w", c.Name, text.Because(err))
	}
}

// raiseBarrier sets the mount flag, trying again while the path is busy until ctx
// ends. On failure nothing has changed.
func raiseBarrier(ctx context.Context, p *protected.Path) error {
	for {
		err := p.SetMountReadOnly(true)
		if !errors.Is(err, unix.EBUSY) || !sleep(ctx, retryEvery) {
			return err
		}
	}
}

// findWriters finds who writes to paths that are busy, and whether anybody does to those
// whose property is about to be set: where the mount flag does not reach. Then, as when a
// package manager has slipped in before the barrier, it takes the mount flags back that
// this request has set.
func (e *Engine) findWriters(ctx context.Context, all []*closing, o *others) {
	var asked []*closing
	busy := false
	for _, c := range all {
		if c.busy != nil || c.goesOn() && c.wantsProperty() {
			asked = append(asked, c)
		}
		busy = busy || c.busy != nil
	}
	if len(asked) == 0 {
		return
	}
	atWork := packageManagerIdle()
	var found []helper.Writer
	var err error
	switch {
	case busy: // with all that keeps a mount busy
		found, err = e.writers(ctx, pathsOf(asked)...)
	case atWork == nil:
		found, err = e.writing(ctx, pathsOf(asked)...)
	}
	for _, c := range asked {
		if c.err = c.verdict(atWork, amongWriters(found, asked, c), err); c.err == nil {
			continue
		}
		c.err = join(c.err, o.reopen(c.Path))
		if c.raised {
			c.err = join(c.err, lowerBarrier(c.Path, c.before))
		}
	}
}

// verdict returns why the path can't be locked.
func (c *closing) verdict(atWork error, found []helper.Writer, unseen error) error {
	var incomplete *writers.IncompleteError
	switch {
	case c.busy != nil && unseen != nil:
		return &blockedError{path: c.Name, writers: found, cause: fmt.Errorf("%w (%w)", c.busy, text.Because(unseen))}
	case c.busy != nil:
		return &blockedError{path: c.Name, writers: found, cause: c.busy}
	case atWork != nil:
		return atWork
	case errors.As(unseen, &incomplete):
		return &blockedError{path: c.Name, writers: found, cause: unseen}
	case unseen != nil:
		return fmt.Errorf("cannot lock %q: %w", c.Name, text.Because(unseen))
	case len(found) > 0:
		return &blockedError{path: c.Name, writers: found, cause: errElsewhere}
	}
	return nil
}

var errElsewhere = errors.New("through another mount of the same subvolume")

// amongWriters returns those of the writers to several paths that concern one of them: who
// writes to its file system by the name of another path, and who can't be looked into.
func amongWriters(found []helper.Writer, asked []*closing, c *closing) []helper.Writer {
	devices := map[string]uint64{"": c.Device}
	for _, other := range asked {
		devices[other.Name] = other.Device
	}
	var some []helper.Writer
	for _, w := range found {
		if devices[w.Protected] != c.Device {
			continue
		}
		if w.Protected != "" {
			w.Protected = c.Name
		}
		some = append(some, w)
	}
	return some
}

// setProperty sets the property of a path whose mount flag is set, and that nobody writes to.
func (c *closing) setProperty() error {
	if c.before.Superblock == helper.ReadOnly {
		// Through a read-only superblock not even a writable clone can set the property.
		if err := c.MakeSuperblockWritable(); err != nil {
			return fmt.Errorf("cannot lock %q: could not make its file system writable to set the property: %w", c.Name, err)
		}
	}
	if err := c.SetProperty(true); err != nil {
		return fmt.Errorf("cannot lock %q: could not set the property: %w", c.Name, err)
	}
	return nil
}

func lowerBarrier(p *protected.Path, before helper.PathStatus) error {
	if before.Mount == helper.ReadOnly {
		return nil
	}
	if err := p.SetMountReadOnly(false); err != nil {
		return fmt.Errorf("cannot make the mount of %q writable again: %w", p.Name, err)
	}
	return nil
}

// writers returns who holds the paths writable, and who can't be ruled out to. A process of
// which not even that can be told makes it an error. A device that could not be placed does
// not: its file's path belongs to another mount namespace, as a container's swap file does.
func (e *Engine) writers(ctx context.Context, paths ...*protected.Path) ([]helper.Writer, error) {
	return scanned(e.scan(paths).Scan(ctx, namesOf(paths)))
}

// writing returns those of the writers that can change a file of the paths still.
func (e *Engine) writing(ctx context.Context, paths ...*protected.Path) ([]helper.Writer, error) {
	return scanned(e.scan(paths).Writing(ctx, namesOf(paths)))
}

func (e *Engine) scan(paths []*protected.Path) *writers.Scanner {
	if e.scanner == nil {
		e.scanner = new(writers.Scanner)
	}
	e.scanner.Hidden = func(name string) (device uint64, ok bool) {
		i := slices.IndexFunc(paths, func(p *protected.Path) bool { return p.Name == name })
		return paths[i].Hidden()
	}
	return e.scanner
}

func scanned(found []helper.Writer, err error) ([]helper.Writer, error) {
	var incomplete *writers.IncompleteError
	if errors.As(err, &incomplete) && incomplete.Processes == 0 {
		err = nil
	}
	return found, err
}
