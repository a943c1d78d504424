package notify

import (
	"context"
	"fmt"

	"github.com/gen2brain/beeep"
)

// Beeep returns the fallback for desktops without a notification daemon. It tries
// D-Bus once more, then notify-send, then kdialog, which needs no daemon.
//
// It is not beeep.Alert, although a reminder is urgent: that also sounds the
// machine's beeper, for which few users have the permission, and then reports an
// error for a notification that was shown.
func Beeep() func(Notification) error {
	beeep.AppName = AppName
	return func(note Notification) error {
		return beeep.Notify(note.Summary, plainBody(note), note.Icon)
	}
}

// fallBack has the fallback show a notification. Beeep knows no timeout and may wait
// for a program, so it runs aside, once at a time.
func (n *Notifier) fallBack(ctx context.Context, note Notification) error {
	select {
	case n.aside <- struct{}{}:
	default:
		return fmt.Errorf("%w, and the fallback hangs", ErrNoDaemon)
	}
	done := make(chan error, 1)
	go func() {
		err := n.options.Fallback(note)
		<-n.aside // before the answer: who has it may post again at once
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%w, and the fallback failed: %w", ErrNoDaemon, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w, and the fallback hangs", ErrNoDaemon)
	}
}
