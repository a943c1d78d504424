package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/protected"
	"immutray.org/helper/writers"
)

// sendTimeout is how long clearing a property waits for "btrfs send" to end, before that is an
// error.
const sendTimeout = 5 * time.Second

// A sendingError says that a backup is reading a subvolume, which must not change meanwhile.
// Its chain ends with EPERM.
type sendingError struct {
	backup *helper.Backup // nil if it could not be found
	cause  error
}

func (e *sendingError) Error() string {
	if e.backup == nil {
		return fmt.Sprintf("perhaps a backup is reading it (btrfs send): %v", e.cause)
	}
	return fmt.Sprintf("a backup is reading it (btrfs send): %q (pid %d)", e.backup.Program, e.backup.PID)
}

func (e *sendingError) Unwrap() error { return e.cause }

// clearProperty makes a path's subvolume writable. The kernel refuses that with EPERM while the
// subvolume is being sent (btrfs_ioctl_subvol_setflags in fs/btrfs/ioctl.c): then it is tried
// again for a while. What "btrfs receive" has made is from now on no longer a copy of what was
// sent.
func (e *Engine) clearProperty(ctx context.Context, p *protected.Path, result *helper.Result) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err := p.SetProperty(false)
	for errors.Is(err, unix.EPERM) && sleep(ctx, retryEvery) {
		err = p.SetProperty(false)
	}
	switch {
	case errors.Is(err, unix.EPERM):
		return e.sending(p, err)
	case err != nil:
		return fmt.Errorf("cannot clear the property: %w", err)
	}
	was, err := p.ClearReceived()
	if err != nil {
		return fmt.Errorf("cannot remove the mark of btrfs receive from it: %w", err)
	}
	if was {
		result.Notices = append(result.Notices, fmt.Sprintf("%q was made by btrfs receive, and is no longer marked as a copy of what was sent: an incremental receive needs another parent", p.Name))
	}
	return nil
}

func (e *Engine) sending(p *protected.Path, cause error) error {
	found := new(writers.Scanner).Senders(context.Background(), p.Name)
	if len(found) == 0 {
		return &sendingError{cause: cause}
	}
	return &sendingError{&helper.Backup{PID: found[0].PID, Program: found[0].Program}, cause}
}
