package mount

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// listAtOnce is how many mounts one call lists.
	listAtOnce = 4096
	// maxListed bounds how many are listed in all: who mounts faster than they are read could
	// go on for ever. The kernel allows a namespace 100,000 (fs.mount-max in proc_sys_fs(5)).
	maxListed = 1 << 20
)

// EachOn calls each for the mounts of superblocks, by their major:minor, in the order of the
// mount table of the caller's thread. It ends early with an error of each.
//
// It asks listmount(2) and statmount(2) instead of the table, and so reads nothing from
// /proc. On a long table that takes a third of the time, because the kernel need not write
// down the mounts that are not wanted. Where those calls can't be used the error is
// [errors.ErrUnsupported], and each was not called.
func EachOn(superblocks []string, each func(Summary) error) error {
	wanted, err := parseDevices(superblocks)
	if err != nil {
		return err
	}
	ids := make([]uint64, listAtOnce)
	answer := new(statmountAnswer)
	called := false
	for after, listed := uint64(0), 0; listed < maxListed; {
		n, err := listmount(after, ids)
		if err != nil {
			return unsupported(called, err)
		}
		for _, id := range ids[:n] {
			err := answer.on(wanted, id)
			switch {
			case errors.Is(err, errOther), errors.Is(err, errOutOfSight), errors.Is(err, unix.ENOENT):
				continue // the last is gone meanwhile
			case err != nil:
				return unsupported(called, err)
			}
			summary, err := answer.summary()
			if errors.Is(err, errOutOfSight) {
				continue
			}
			if err != nil {
				return unsupported(called, err)
			}
			called = true
			if err := each(summary); err != nil {
				return err
			}
		}
		if n < len(ids) {
			return nil
		}
		after, listed = ids[n-1], listed+n
	}
	return errors.New("cannot list the mounts: there are too many")
}

// errOther says that a mount is of another superblock than those that are wanted.
var errOther = errors.New("it is of another file system")

// on asks for a mount if it is of one of the superblocks.
func (a *statmountAnswer) on(wanted map[device]bool, id uint64) error {
	if err := a.ask(id, wantSuperblock); err != nil {
		return err
	}
	if !wanted[device{a.major, a.minor}] {
		return errOther
	}
	return a.ask(id, wantAll)
}

func unsupported(called bool, err error) error {
	if called {
		return fmt.Errorf("cannot list the mounts: %w", err)
	}
	return errors.ErrUnsupported
}

type device struct{ major, minor uint32 }

func parseDevices(superblocks []string) (map[device]bool, error) {
	wanted := make(map[device]bool, len(superblocks))
	for _, s := range superblocks {
		var d device
		if _, err := fmt.Sscanf(s, "%d:%d", &d.major, &d.minor); err != nil {
			return nil, fmt.Errorf("cannot list the mounts: %q is no device", s)
		}
		wanted[d] = true
	}
	return wanted, nil
}
