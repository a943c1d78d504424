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
)

const (
	// othersPatience bounds the looks into all namespaces of the machine. Anybody may make
	// many; they are looked into last.
	othersPatience = 5 * time.Second
	// maxPasses is how often new namespaces are looked for. Who has only read-only mounts
	// to copy can't make a writable one: two or three passes find the last of them.
	maxPasses = 8
)

// others are the mounts of a protected path besides that at the path itself: the copies in
// other mount namespaces, and what is mounted of it elsewhere. The mount flag of each is
// its own.
type others struct {
	path      *protected.Path
	subvolume *namespaces.Subvolume
	visitor   *namespaces.Visitor
	sets      []*namespaces.Set // kept until the end, so that what was changed can be found again

	closed []found // what was made read-only
	// left are programs that see a writable mount which can't be made read-only, in
	// namespaces that only root can have made.
	left []helper.Bystander
}

// found are mounts in a namespace.
type found struct {
	in     *namespaces.Namespace
	mounts []namespaces.Mount
}

func lookForOthers(p *protected.Path) (*others, error) {
	subvolume, err := p.Subvolume()
	if err != nil {
		return nil, err
	}
	visitor, err := namespaces.NewVisitor()
	if err != nil {
		subvolume.Close()
		return nil, err
	}
	return &others{path: p, subvolume: subvolume, visitor: visitor}, nil
}

func (o *others) end() {
	if o == nil {
		return // nothing could be looked for
	}
	for _, s := range o.sets {
		s.Close()
	}
	o.visitor.Close()
	o.subvolume.Close()
}

// close sets the mount flag of the others, and looks again until no namespace is new. It
// tries again where something is open for writing until ctx ends, and then returns EBUSY.
// What can't be changed for another reason does not keep the rest from it; it is in left.
func (o *others) close(ctx context.Context) error {
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), othersPatience)
	defer cancel()
	seen := map[uint64]bool{}
	var busy error
	for range maxPasses {
		set, err := namespaces.FindNew(look, seen)
		if set == nil {
			return err
		}
		o.sets = append(o.sets, set)
		for _, n := range set.Namespaces {
			seen[n.ID] = true
			if o.closeIn(ctx, look, n) {
				busy = unix.EBUSY
			}
		}
		if len(set.Namespaces) == 0 || busy != nil || look.Err() != nil {
			break
		}
	}
	return busy
}

func (o *others) closeIn(ctx, look context.Context, n *namespaces.Namespace) (busy bool) {
	mounts, err := o.in(look, n)
	if err != nil {
		o.leave(n)
	}
	for len(mounts) > 0 {
		var waiting []namespaces.Mount
		done := found{in: n}
		for i, err := range o.visitor.SetReadOnly(look, n, o.subvolume, mounts, true) {
			switch {
			case err == nil:
				done.mounts = append(done.mounts, mounts[i])
			case errors.Is(err, unix.EBUSY):
				waiting = append(waiting, mounts[i])
			default:
				o.leave(n)
			}
		}
		if len(done.mounts) > 0 {
			o.closed = append(o.closed, done)
		}
		if mounts = waiting; len(mounts) > 0 && !sleep(ctx, retryEvery) {
			return true
		}
	}
	return false
}

// in returns the writable mounts in a namespace.
func (o *others) in(ctx context.Context, n *namespaces.Namespace) ([]namespaces.Mount, error) {
	mounts, err := o.visitor.Mounts(ctx, n, o.subvolume)
	return o.among(n, mounts, false), err
}

// among returns those of a namespace's mounts that are read-only, or that are not. One that
// shows more than the subvolume is left alone: its flag would freeze what else it shows.
func (o *others) among(n *namespaces.Namespace, mounts []namespaces.Mount, readOnly bool) []namespaces.Mount {
	return slices.DeleteFunc(slices.Clone(mounts), func(m namespaces.Mount) bool {
		return m.ReadOnly() != readOnly || m.Share == namespaces.Around || n.Self && m.ID == o.path.MountID
	})
}

func (o *others) leave(n *namespaces.Namespace) {
	if n.Foreign {
		return // a user's, where nobody has more rights than he
	}
	b := bystander(n)
	if !slices.Contains(o.left, b) {
		o.left = append(o.left, b)
	}
}

// reopen takes back what close has done.
func (o *others) reopen() error {
	if o == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), othersPatience)
	defer cancel()
	var all error
	for _, f := range slices.Backward(o.closed) {
		for _, err := range o.visitor.SetReadOnly(ctx, f.in, o.subvolume, f.mounts, false) {
			if err != nil && !errors.Is(err, namespaces.ErrHidden) { // it is gone
				all = join(all, fmt.Errorf("cannot make %q writable again for %s: %w", o.path.Name, bystander(f.in).Name(), err))
			}
		}
	}
	o.closed = nil
	return all
}

// flags returns what close has set.
func (o *others) flags() flagList {
	var all flagList
	for _, f := range o.closed {
		for _, m := range f.mounts {
			all = append(all, flagOf(f.in, m))
		}
	}
	return all
}

// bystander names who is in a namespace.
func bystander(n *namespaces.Namespace) helper.Bystander {
	var b helper.Bystander
	if len(n.Tasks) > 0 {
		b.PID = n.Tasks[0]
		b.Unit, b.Program = namespaces.Unit(b.PID), namespaces.Program(b.PID)
	}
	return b
}

// closeOthers sets the mount flag of everything but the path itself, whose own is set. On
// failure it has taken back what it did. Where the property is set already, who writes in
// there does so as before, and does not count. What it says it could not look into.
func (e *Engine) closeOthers(ctx context.Context, p *protected.Path, before helper.PathStatus) (o *others, unreached string, err error) {
	o, err = lookForOthers(p)
	if err == nil {
		err = o.close(ctx)
	}
	switch {
	case err == nil:
		return o, "", nil
	case errors.Is(err, unix.EBUSY) && before.Property == helper.ReadOnly:
		return o, "", nil
	case errors.Is(err, unix.EBUSY):
		err = join(e.blocked(p, err), o.reopen())
		o.end()
		return nil, "", err
	}
	// The property holds there too.
	return o, fmt.Sprintf("cannot look for further mounts of %q: %v", p.Name, helper.Because(err)), nil
}

// closeWhatCanBe is for a path that is locked although programs are writing to it.
func (e *Engine) closeWhatCanBe(ctx context.Context, p *protected.Path) {
	o, err := lookForOthers(p)
	if err != nil {
		return
	}
	defer o.end()
	_ = o.close(ctx) // the property is set, and holds there too
	_ = e.remember(o)
}

// closeForRun sees to it that nobody can write to a path, whose property is about to be
// cleared for a command.
func (e *Engine) closeForRun(p *protected.Path) error {
	o, err := lookForOthers(p)
	if err != nil {
		return fmt.Errorf("cannot run the command: could not look for further mounts of %q: %w", p.Name, helper.Because(err))
	}
	defer o.end()
	ctx, cancel := context.WithTimeout(context.Background(), returnPatience)
	defer cancel()
	err = o.close(ctx)
	_ = e.remember(o)
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("cannot run the command: %s has %q writable, and something open there", e.someoneAt(p), p.Name)
	case err != nil:
		return fmt.Errorf("cannot run the command: could not look for further mounts of %q: %w", p.Name, helper.Because(err))
	case len(o.left) > 0:
		return fmt.Errorf("cannot run the command: %s could write to %q too, through a mount that can't be made read-only", names(o.left), p.Name)
	}
	return nil
}

// someoneAt names who writes to a path.
func (e *Engine) someoneAt(p *protected.Path) string {
	found, _ := e.writers(p)
	if len(found) == 0 {
		return "a program that could not be found"
	}
	return describe(found[0])
}

// remember notes what was changed, for the next unlock.
func (e *Engine) remember(o *others) (notice string) {
	if o == nil {
		return ""
	}
	if err := rememberFlags(e.Config.StateDir, o.flags()); err != nil {
		return fmt.Sprintf("the next unlock may leave programs in containers behind: %v", err)
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

// sentences joins those that say something.
func sentences(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "; ")
}
