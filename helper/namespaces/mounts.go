package namespaces

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
	"immutray.org/helper/text"
)

// maxMounts bounds how many mounts of one namespace are returned.
const maxMounts = 1024

// ErrMany says that a namespace has more mounts of a subvolume than are looked at.
var ErrMany = errors.New("it has too many mounts")

// A Mount is a mount that shows a subvolume.
type Mount struct {
	mount.Summary
	Share Share
	Of    *Subvolume
}

// Found is what a visit to a namespace has found.
type Found struct {
	In *Namespace
	// Mounts are in the order of the mount table, those that another mount hides among
	// them. One that shows several subvolumes is there for each.
	Mounts []Mount
	// Rest are the mounts besides that were not to be changed.
	Rest []Mount
	// Errs says for each of Mounts, when they were to be changed, why it could not be: EBUSY
	// where something is open for writing through it, EPERM where the flag is locked,
	// [ErrHidden] and [ErrAway] where it can't be reached.
	Errs []error
	// Err is why there may be more. With [ErrMany] there are.
	Err error
}

// Mounts visits namespaces and returns, in their order, the mounts that show one of the
// visitor's subvolumes.
func (v *Visitor) Mounts(ctx context.Context, all []*Namespace) []Found {
	return found(all, visit(ctx, v, all, func(in *inside, _ int) (Found, error) {
		mounts, err := in.mounts()
		return Found{Mounts: mounts}, err
	}))
}

// Set visits namespaces and sets the mount flag of those mounts that which is true for; it
// returns these in the order of the namespaces. which is called on another goroutine, perhaps
// after the return, and must only look.
func (v *Visitor) Set(ctx context.Context, all []*Namespace, which func(*Namespace, Mount) bool) []Found {
	return found(all, visit(ctx, v, all, func(in *inside, i int) (Found, error) {
		mounts, err := in.mounts()
		var chosen, rest []Mount
		for _, m := range mounts {
			if which(all[i], m) {
				chosen = append(chosen, m)
			} else {
				rest = append(rest, m)
			}
		}
		return Found{Mounts: chosen, Rest: rest, Errs: in.setAll(chosen, true)}, err
	}))
}

// SetReadOnly visits namespaces again, and sets or clears the mount flag of the mounts that
// are given. Nothing but a mount of that id which shows the subvolume is changed.
func (v *Visitor) SetReadOnly(ctx context.Context, known []Found, readOnly bool) []Found {
	all := make([]*Namespace, len(known))
	for i, f := range known {
		all[i] = f.In
	}
	return found(all, visit(ctx, v, all, func(in *inside, i int) (Found, error) {
		return Found{Mounts: known[i].Mounts, Errs: in.setAll(known[i].Mounts, readOnly)}, nil
	}))
}

func found(all []*Namespace, answers []answer[Found]) []Found {
	each := make([]Found, len(all))
	for i, a := range answers {
		each[i] = a.value
		each[i].In = all[i]
		if a.err != nil {
			each[i].Err = fmt.Errorf("cannot inspect a mount namespace: %w", text.Because(a.err))
		}
	}
	return each
}

// mounts reads the mount table once for all of the subvolumes.
func (in *inside) mounts() ([]Mount, error) {
	var mounts []Mount
	related := 0
	err := in.each(in.superblocks(), func(m mount.Summary) error {
		for _, s := range in.subvolumes {
			if m.Device != s.Superblock || !s.related(m.Root) {
				continue
			}
			if related++; related > maxMounts*len(in.subvolumes) {
				return ErrMany
			}
			if share := s.shown(m); share != None {
				mounts = append(mounts, Mount{m, share, s})
			}
		}
		return nil
	})
	return mounts, err
}

func (in *inside) setAll(mounts []Mount, readOnly bool) []error {
	errs := make([]error, len(mounts))
	for i, m := range mounts {
		errs[i] = in.setReadOnly(m, readOnly)
	}
	return errs
}

func (in *inside) setReadOnly(m Mount, readOnly bool) error {
	fd, err := in.open(m.Summary)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	at, err := positionOf(fd)
	switch {
	case err != nil:
		return err
	case at.device != m.Of.device:
		return ErrHidden
	case in.over.Load():
		return ErrHung
	case readOnly:
		return mount.SetReadOnly(fd)
	}
	return mount.SetWritable(fd)
}
