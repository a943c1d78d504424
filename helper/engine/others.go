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
	"immutray.org/helper/namespaces"
	"immutray.org/helper/protected"
	"immutray.org/helper/statedir"
	"immutray.org/helper/text"
)

const (
	// othersTimeout bounds the searches through all namespaces of the machine. Any user may
	// make many; those are searched last.
	othersTimeout = 4 * time.Second
	// maxPasses is how often new namespaces are searched for. A process that has only read-only
	// mounts to copy can't make a writable one: two or three passes find the last of them.
	maxPasses = 8
)

// others are the mounts of protected paths besides those at the paths themselves: copies in
// other mount namespaces, and mounts elsewhere. Each has a mount flag of its own.
type others struct {
	subvolumes []*namespaces.Subvolume // those of the paths
	owners     []*protected.Path       // the path of each of them
	visitor    *namespaces.Visitor
	sets       []*namespaces.Set // kept until the end, so that what was changed can be found again

	closed []namespaces.Found // what was made read-only
	// left are programs that see a writable mount which can't be made read-only, in namespaces
	// that only root can have made.
	left []helper.Bystander
	// beside are mounts through which a file could be open for writing unnoticed.
	beside besides
}

func lookForOthers(paths ...*protected.Path) (*others, error) {
	o := &others{}
	for _, p := range paths {
		all, err := p.Subvolumes()
		if err != nil {
			o.end()
			return nil, err
		}
		for _, s := range all {
			o.subvolumes, o.owners = append(o.subvolumes, s), append(o.owners, p)
		}
	}
	var err error
	if o.visitor, err = namespaces.NewVisitor(o.subvolumes...); err != nil {
		o.end()
		return nil, err
	}
	return o, nil
}

func (o *others) end() {
	if o == nil {
		return // the search could not begin
	}
	for _, s := range o.sets {
		s.Close()
	}
	if o.visitor != nil {
		o.visitor.Close()
	}
	for _, s := range o.subvolumes {
		s.Close()
	}
}

// pathOf returns the path whose subvolume a mount shows.
func (o *others) pathOf(m namespaces.Mount) *protected.Path {
	return o.owners[slices.Index(o.subvolumes, m.Of)]
}

// close sets the mount flag of the others, and searches again until there is no new namespace.
// Where something is open for writing it tries again until ctx ends, and returns the paths that
// are busy then. What can't be changed for another reason does not stop it; it is in left.
func (o *others) close(ctx context.Context) (busy []*protected.Path, err error) {
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), othersTimeout)
	defer cancel()
	seen := map[uint64]bool{}
	for range maxPasses {
		set, err := namespaces.FindNew(look, seen)
		if set == nil {
			return nil, err
		}
		o.sets = append(o.sets, set)
		for _, n := range set.Namespaces {
			seen[n.ID] = true
		}
		busy = o.closeIn(ctx, look, set.Namespaces)
		if len(set.Namespaces) == 0 || len(busy) > 0 || look.Err() != nil {
			break
		}
	}
	return busy, nil
}

func (o *others) closeIn(ctx, look context.Context, all []*namespaces.Namespace) (busy []*protected.Path) {
	for len(all) > 0 {
		var waiting []*namespaces.Namespace
		before := busy
		busy = nil
		for _, f := range o.visitor.Set(look, all, o.isOpen) {
			paths := o.take(f)
			if len(paths) > 0 {
				busy, waiting = append(busy, paths...), append(waiting, f.In)
			}
		}
		if look.Err() != nil {
			return append(busy, before...) // those that could not be tried again
		}
		if all = waiting; len(all) > 0 && !sleep(ctx, retryEvery) {
			return busy
		}
	}
	return nil
}

// take notes what became of the mounts in a namespace that were to be made read-only, and
// returns the paths of those that are busy.
func (o *others) take(f namespaces.Found) (busy []*protected.Path) {
	done := namespaces.Found{In: f.In}
	left := f.Err != nil
	for i, err := range f.Errs {
		switch {
		case err == nil:
			done.Mounts = append(done.Mounts, f.Mounts[i])
		case errors.Is(err, unix.EBUSY):
			busy = append(busy, o.pathOf(f.Mounts[i]))
		default:
			left = true
			if !errors.Is(err, namespaces.ErrHidden) || f.Mounts[i].Point != o.pathOf(f.Mounts[i]).Name { // see outOfReach
				o.beside.add(f.In, f.Mounts[i])
			}
		}
	}
	for _, m := range f.Rest {
		if m.Share == namespaces.Around && !m.ReadOnly() {
			o.beside.add(f.In, m)
		}
	}
	if left {
		o.leave(f.In)
	}
	if len(done.Mounts) > 0 {
		o.closed = append(o.closed, done)
	}
	return busy
}

// isOpen reports whether a mount is one of the others, and writable.
func (o *others) isOpen(n *namespaces.Namespace, m namespaces.Mount) bool {
	return o.has(n, m) && !m.ReadOnly()
}

// has reports whether a mount is one of the others. A mount that shows more than the subvolume
// is not: its flag would freeze what else it shows.
func (o *others) has(n *namespaces.Namespace, m namespaces.Mount) bool {
	return m.Share != namespaces.Around && !(n.Self && m.ID == o.pathOf(m).MountID)
}

func (o *others) leave(n *namespaces.Namespace) {
	if n.Foreign {
		return // that of a user, who has no more rights in there
	}
	b := bystander(n)
	if !slices.Contains(o.left, b) {
		o.left = append(o.left, b)
	}
}

// reopen undoes what close has done for a path.
func (o *others) reopen(p *protected.Path) error {
	if o == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), othersTimeout)
	defer cancel()
	var mine []namespaces.Found
	for i, f := range o.closed {
		of := func(m namespaces.Mount) bool { return o.pathOf(m) == p }
		others := slices.DeleteFunc(slices.Clone(f.Mounts), of)
		f.Mounts = slices.DeleteFunc(f.Mounts, func(m namespaces.Mount) bool { return !of(m) })
		o.closed[i].Mounts = others
		if len(f.Mounts) > 0 {
			mine = append(mine, f)
		}
	}
	var all error
	for _, f := range o.visitor.SetReadOnly(ctx, mine, false) {
		for _, err := range append(f.Errs, f.Err) {
			if err != nil && !errors.Is(err, namespaces.ErrHidden) { // the mount is gone
				all = join(all, fmt.Errorf("cannot make %q writable again for %s: %w", p.Name, bystander(f.In).Name(), err))
			}
		}
	}
	return all
}

// flags returns the flags that close has set.
func (o *others) flags() flagList {
	var all flagList
	for _, f := range o.closed {
		for _, m := range f.Mounts {
			all = append(all, flagOf(f.In, m))
		}
	}
	return all
}

// bystander names a program in a namespace.
func bystander(n *namespaces.Namespace) helper.Bystander {
	var b helper.Bystander
	if len(n.Tasks) > 0 {
		b.PID = n.Tasks[0]
		b.Unit, b.Program = namespaces.Unit(b.PID), namespaces.Program(b.PID)
	}
	return b
}

// closeOthers sets the mount flag of the others. Paths where something is open for writing are
// busy from then on, except where the property is set already: a writer in there changes
// nothing about that.
func (e *Engine) closeOthers(ctx context.Context, all []*closing) *others {
	if len(all) == 0 {
		return nil
	}
	var busy []*protected.Path
	o, err := lookForOthers(pathsOf(all)...)
	if err == nil {
		busy, err = o.close(ctx)
	}
	for _, c := range all {
		switch {
		case err != nil: // the property holds there too
			c.note(fmt.Sprintf("cannot look for further mounts of %q: %v", c.Name, text.Because(err)))
		case slices.Contains(busy, c.Path) && c.before.Property != helper.ReadOnly:
			c.busy = unix.EBUSY
		}
	}
	return o
}

// closeWhatCanBe is closeOthers for paths that are locked although programs write to them.
func (e *Engine) closeWhatCanBe(ctx context.Context, paths []*protected.Path) {
	if len(paths) == 0 {
		return
	}
	o, err := lookForOthers(paths...)
	if err != nil {
		return
	}
	defer o.end()
	_, _ = o.close(ctx) // the property is set, and holds there too
	_ = e.remember(o)
}

// closeForRun makes sure that no other program can write to paths whose property is about to be
// cleared for a command.
func (e *Engine) closeForRun(paths []*protected.Path) error {
	o, err := lookForOthers(paths...)
	if err != nil {
		return fmt.Errorf("cannot run the command: could not look for further mounts: %w", text.Because(err))
	}
	defer o.end()
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	busy, err := o.close(ctx)
	_ = e.remember(o)
	switch {
	case err != nil:
		return fmt.Errorf("cannot run the command: could not look for further mounts: %w", text.Because(err))
	case len(busy) > 0:
		return fmt.Errorf("cannot run the command: %s can write to %q, and has something open there", e.someoneAt(busy[0]), busy[0].Name)
	case len(o.left) > 0:
		return fmt.Errorf("cannot run the command: %s could write to %s too, through a mount that can't be made read-only", names(o.left), strings.Join(namesOf(paths), " and "))
	}
	return nil
}

// someoneAt names a writer to a path.
func (e *Engine) someoneAt(p *protected.Path) string {
	found, _ := e.writers(context.Background(), p)
	if len(found) == 0 {
		return "a program that could not be found"
	}
	return describe(found[0])
}

// remember records what was changed, for the next unlock.
func (e *Engine) remember(o *others) (notice string) {
	if o == nil {
		return ""
	}
	if err := rememberFlags(statedir.Dir(e.Config.StateDir), o.flags()); err != nil {
		return fmt.Sprintf("after the next unlock, programs in containers may still see the system read-only: %v", err)
	}
	return ""
}

// names names programs.
func names(all []helper.Bystander) string {
	texts := make([]string, len(all))
	for i, b := range all {
		texts[i] = b.Name()
	}
	return strings.Join(texts, ", ")
}

// sentences joins the texts that are not empty.
func sentences(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "; ")
}
