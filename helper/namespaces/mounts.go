package namespaces

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/mount"
)

// maxMounts bounds how many mounts of one namespace are told.
const maxMounts = 1024

// ErrMany says that a namespace has more mounts of a subvolume than are looked at.
var ErrMany = errors.New("it has too many mounts")

// A Mount is a mount that shows a subvolume.
type Mount struct {
	mount.Info
	Share Share
}

// Mounts returns the mounts in a namespace that show a subvolume, those that another mount
// hides among them, in the order of the mount table. With [ErrMany] there are more.
func (v *Visitor) Mounts(ctx context.Context, n *Namespace, s *Subvolume) ([]Mount, error) {
	found, err := visit(ctx, v, n, nil, func(in *inside) ([]mount.Info, error) {
		var found []mount.Info
		err := in.table(s.Superblock, func(m mount.Info) error {
			switch {
			case !s.related(m.Root):
			case len(found) == maxMounts:
				return ErrMany
			default:
				found = append(found, m)
			}
			return nil
		})
		return found, err
	})
	var mounts []Mount
	for _, m := range found {
		if share := s.shown(m); share != None {
			mounts = append(mounts, Mount{m, share})
		}
	}
	if err != nil {
		return mounts, fmt.Errorf("cannot look into a mount namespace: %w", helper.Because(err))
	}
	return mounts, nil
}

// SetReadOnly sets or clears the mount flag of mounts in a namespace, and returns for each
// of them why it could not, in their order: EBUSY where something is open for writing
// through it, EPERM where the flag is locked, [ErrHidden] and [ErrAway] where the mount
// can't be reached. Nothing but a mount of that id which shows the subvolume is changed.
func (v *Visitor) SetReadOnly(ctx context.Context, n *Namespace, s *Subvolume, mounts []Mount, readOnly bool) []error {
	errs, err := visit(ctx, v, n, []*Subvolume{s}, func(in *inside) ([]error, error) {
		errs := make([]error, len(mounts))
		for i, m := range mounts {
			errs[i] = in.setReadOnly(m.Info, s.device, readOnly)
		}
		return errs, nil
	})
	if err == nil {
		return errs
	}
	errs = make([]error, len(mounts))
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func (in *inside) setReadOnly(m mount.Info, device uint64, readOnly bool) error {
	fd, err := in.open(m)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	at, err := placeOf(fd)
	switch {
	case err != nil:
		return err
	case at.device != device:
		return ErrHidden
	case readOnly:
		return mount.SetReadOnly(fd)
	}
	return mount.SetWritable(fd)
}
