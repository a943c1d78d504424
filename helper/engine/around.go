package engine

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"immutray.org/helper/namespaces"
	"immutray.org/helper/protected"
	"immutray.org/helper/text"
)

// around searches every namespace that root has made for writable mounts of a directory above
// protected paths, such as backup programs have of the whole file system. Immutray must not set
// the flag of such a mount, because it shows islands too. Through it, other programs could
// write while the property is cleared.
func (g *Grant) around(paths []*protected.Path) error {
	o, err := lookForOthers(paths...)
	if err != nil {
		return fmt.Errorf("cannot run the command: could not look for further mounts: %w", text.Because(err))
	}
	defer o.end()
	ctx, cancel := context.WithTimeout(context.Background(), othersTimeout)
	defer cancel()
	set, err := namespaces.Find(ctx)
	if err != nil {
		return fmt.Errorf("cannot run the command: %w", text.Because(err))
	}
	o.sets = append(o.sets, set)
	// Not those of users, who have no more rights in there, and of which any user could make
	// one.
	made := slices.DeleteFunc(slices.Clone(set.Namespaces), func(n *namespaces.Namespace) bool { return n.Foreign })
	for _, f := range o.visitor.Mounts(ctx, made) {
		if f.Err != nil {
			return fmt.Errorf("cannot run the command: %s: %w", bystander(f.In).Name(), text.Because(f.Err))
		}
		for _, m := range f.Mounts {
			own := f.In.Self && slices.ContainsFunc(g.paths, func(p *protected.Path) bool { return p.MountID == m.ID })
			if own || m.Share != namespaces.Around || m.ReadOnly() {
				continue
			}
			if err := g.allow(mountBeside{m.Point, f.In}, o.pathOf(m)); err != nil {
				return err
			}
		}
	}
	return nil
}

// A mountBeside is where other programs can write while a command runs.
type mountBeside struct {
	point string
	in    *namespaces.Namespace
}

func (b mountBeside) String() string {
	if b.in.Self {
		return strconv.Quote(b.point)
	}
	return fmt.Sprintf("%q in the mounts of %s", b.point, bystander(b.in).Name())
}

// allow notes such a mount, or returns an error if it was not allowed. Of the copies that a
// mount has in other namespaces, one is named.
func (g *Grant) allow(b mountBeside, p *protected.Path) error {
	if !g.run.EvenSo {
		return fmt.Errorf("cannot run the command: %v is writable and shows %q too, so others could write to it (--even-so runs the command nevertheless)", b, p.Name)
	}
	if !g.told[b.point] {
		g.told[b.point] = true
		g.beside = append(g.beside, b.String())
	}
	return nil
}
