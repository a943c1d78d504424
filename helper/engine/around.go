package engine

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"immutray.org/helper/namespaces"
	"immutray.org/helper/protected"
)

// around looks for writable mounts of a directory above a protected path, such as backup
// programs have of the whole file system. Their flag is none of ours to set: they show
// islands too. With one of them others could write while the property is cleared.
func (l *Loan) around(p *protected.Path) error {
	o, err := lookForOthers(p)
	if err != nil {
		return fmt.Errorf("cannot run the command: cannot look for further mounts of %q: %w", p.Name, err)
	}
	defer o.end()
	ctx, cancel := context.WithTimeout(context.Background(), othersPatience)
	defer cancel()
	set, err := namespaces.Find(ctx)
	if err != nil {
		return fmt.Errorf("cannot run the command: %w", err)
	}
	o.sets = append(o.sets, set)
	for _, n := range set.Namespaces {
		if !n.Self {
			continue // the copies of others are as writable as what they were made from
		}
		mounts, err := o.visitor.Mounts(ctx, n, o.subvolume)
		if err != nil {
			return fmt.Errorf("cannot run the command: %w", err)
		}
		for _, m := range mounts {
			at := strconv.Quote(m.Point)
			own := slices.ContainsFunc(l.paths, func(p *protected.Path) bool { return p.MountID == m.ID })
			if own || m.Share != namespaces.Around || m.ReadOnly() || slices.Contains(l.beside, at) {
				continue
			}
			if !l.run.EvenSo {
				return fmt.Errorf("cannot run the command: %s is writable and shows %q too: others could write there (--even-so puts up with that)", at, p.Name)
			}
			l.beside = append(l.beside, at)
		}
	}
	return nil
}
