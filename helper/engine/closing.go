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

// A closing is one path on the way to locked.
type closing struct {
	*protected.Path
	before helper.PathStatus
	raised bool  // the mount flag was set by this request
	busy   error // the kernel's EBUSY; the writers have yet to be found
	err    error // why the path can't be locked
	notice string
}

func (c *closing) note(text string) { c.notice = sentences(c.notice, text) }

// goesOn reports whether there is no obstacle so far.
func (c *closing) goesOn() bool { return c.busy == nil && c.err == nil }

// wantsProperty reports whether the property is to be set.
func (c *closing) wantsProperty() bool { return c.Btrfs && c.before.Property != helper.ReadOnly }

// goingOn returns the paths without an obstacle so far.
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

// lockPaths locks paths, whatever state they are in. A path that can't be locked does not stop
// the others. ctx limits how long it waits for writers to finish.
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

// close locks the paths step by step, all of them together: the searches through all processes
// and all mount namespaces cost more than everything else.
func (e *Engine) close(ctx context.Context, all []*closing) {
	for _, c := range goingOn(all) {
		// What a program has written must be on the disk before its file becomes read-only: a
		// program can't write it again afterwards.
		if err := c.Sync(); err != nil {
			c.err = fmt.Errorf("cannot lock %q: %w", c.Name, text.Because(err))
			continue
		}
		c.raiseBarrier(ctx)
	}
	look, cancel := searchContext(ctx)
	defer cancel()
	// From here on, files can be opened for writing only through mounts whose flag is not set
	// yet.
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

// noteOnce adds the notices about all paths to one of them.
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

// outOfReach returns a notice if a subvolume is hidden by another mount and its own mount still
// has the other flag.
func outOfReach(p *protected.Path, still helper.Flag, again string) string {
	if p.HiddenMount() != still {
		return ""
	}
	return fmt.Sprintf("something is mounted over %q, and keeps its own mount out of reach: %s once more when that is unmounted", p.Name, again)
}

// searchTimeout is how long the searches through all namespaces and all processes may take,
// besides the drain time: with the default drain time, whatever prolongs them is named within
// 15 s. On a slow machine they may also use the drain time, if nothing is busy.
const searchTimeout = 8 * time.Second

// searchContext returns the context of a search, which may go on after the drain time, when ctx
// ends: then is when the writers have to be found. If the disk has taken longer than the drain
// time, the search still has its own time.
func searchContext(ctx context.Context) (context.Context, context.CancelFunc) {
	end := time.Now()
	if drained, limited := ctx.Deadline(); limited && drained.After(end) {
		end = drained
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end.Add(searchTimeout))
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

// findWriters finds the writers to paths that are busy, and those to paths whose property is
// about to be set, where the mount flag does not reach. If there are any, or if a package
// manager has started before the barrier, it clears the mount flags that this request has set.
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
	case busy: // including everything that keeps a mount busy
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

// amongWriters returns which writers to several paths concern one of them: those that write to
// its file system by the name of another path, and those that can't be inspected.
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

// setProperty sets the property of a path whose mount flag is set and that has no writers.
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

// writers returns what holds the paths writable, and what can't be ruled out to. A process
// about which not even that is known makes it an error. A device that could not be located does
// not: the path of its file belongs to another mount namespace, as that of a container's swap
// file does.
func (e *Engine) writers(ctx context.Context, paths ...*protected.Path) ([]helper.Writer, error) {
	return scanned(e.scan(paths).Scan(ctx, namesOf(paths)))
}

// writing returns only those writers that can still change a file on the paths.
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
