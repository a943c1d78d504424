package tray

import (
	"context"
	"errors"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/config"
	"immutray.org/icons"
	"immutray.org/notify"
)

// request asks the helper, one thing at a time, after the given delay.
//
// A request may wait for hours: the password dialog stays behind a locked screen
// until that is unlocked.
func (c *controller) request(r helper.Request, delay time.Duration) {
	if c.asked != "" {
		c.Log.Debug("one request is under way", "verb", c.asked, "dropped", r.Verb)
		return
	}
	c.asked = r.Verb
	c.obstacle.requested()
	if r.Verb != helper.Unlock {
		c.Reminders.LockBegan()
	}
	ctx := c.ctx
	go func() {
		if !c.pause(ctx, delay) {
			return
		}
		c.Log.Debug("asking the helper", "verb", r.Verb)
		result, err := c.Helper.Do(ctx, r)
		c.in.Put(func() { c.answered(r.Verb, result, err) })
	}()
}

func (c *controller) lock() { c.request(helper.Request{Verb: helper.Lock}, 0) }

// extend asks for a window that ends a quarter of an hour later, or as late as is
// allowed.
func (c *controller) extend() {
	w := c.report.Status.Window
	if w == nil || w.Until == nil {
		return
	}
	more := max(0, w.Until.Sub(c.now())).Round(time.Second) + notify.Extension
	if most := c.report.UnlockMax; most != config.UntilLocked {
		more = min(more, most)
	}
	c.request(helper.Request{Verb: helper.Unlock, For: more}, 0)
}

// pause waits; false when ctx ended first.
func (c *controller) pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	passed, stop := c.Clock.After(d)
	defer stop()
	select {
	case <-passed:
		return true
	case <-ctx.Done():
		return false
	}
}

// answered takes the helper's answer. The state is read at once: what is shown
// below the answer must be what the answer left.
func (c *controller) answered(verb helper.Verb, result *helper.Result, err error) {
	c.asked = ""
	c.took(c.System.Read())
	if verb != helper.Unlock {
		c.Reminders.LockEnded()
	}
	if c.obstacle.answered(c.Clock.Now(), result, c.System.IsBusy) {
		return
	}
	switch {
	case err == nil:
		c.Log.Info("done", "verb", verb, "state", c.report.Status.State)
		c.post(notify.SlotFeedback, c.feedback(result))
	case errors.Is(err, client.ErrNoDialog):
		c.failed(verb, result, err) // it is an ErrCancelled too, but the person did not cancel
	case errors.Is(err, client.ErrCancelled):
		c.Log.Info("cancelled", "verb", verb)
	case c.ctx.Err() != nil:
	default:
		c.failed(verb, result, err)
	}
}

// feedback says what is so now, and what went otherwise than planned.
func (c *controller) feedback(result *helper.Result) notify.Notification {
	n := notify.Feedback(c.report.Status, c.now(), string(iconFor(c.report.face())))
	if result == nil || len(result.Notices) == 0 {
		return n
	}
	lines := make([]string, len(result.Notices))
	for i, notice := range result.Notices {
		lines[i] = sentence(notice)
	}
	n.Body = strings.Join(append([]string{n.Body}, lines...), "\n")
	// There is more to read than the three words that it is usually gone after.
	n.Expire, n.Transient = 0, false
	return n
}

// failed keeps a failure, to be shown in the menu and in a notification.
func (c *controller) failed(verb helper.Verb, result *helper.Result, err error) {
	c.Log.Warn("failed", "verb", verb, "error", err)
	f := &failure{Verb: verb, Err: err, Hint: client.Hint(err)}
	switch {
	case result == nil:
	case result.Outcome == helper.Blocked:
		f.Blocked, f.Writers, f.MoreWriters = true, result.Writers, result.MoreWriters
	case result.Busy != nil && c.System.IsBusy(*result.Busy):
		f.Busy = result.Busy
	}
	c.obstacle.Failure = f
}

// explain says why a click on the question mark does nothing.
func (c *controller) explain() {
	n := notify.Notification{Summary: "Immutray cannot read the state", Icon: string(icons.Unknown), Urgency: notify.Normal}
	if c.report.face() == notReady {
		n.Summary = "This computer is not ready to be locked"
	}
	for _, reason := range reasons(c.report) {
		n.Body += sentence(reason) + "\n"
	}
	n.Body = strings.TrimSuffix(n.Body, "\n")
	c.post(notify.SlotObstacle, n)
}

func (c *controller) about() {
	c.post(slotAbout, notify.Notification{
		Summary: "Immutray " + c.Version,
		Body:    "Keeps the operating system read-only, and reminds you while it is not.",
		Urgency: notify.Normal,
		Icon:    string(icons.Application),
	})
}

func (c *controller) post(slot string, n notify.Notification) {
	c.send(func(ctx context.Context) error { return c.Notes.Post(ctx, slot, n) })
}

// send sends something to the notification daemon without waiting for it. That a daemon is
// missing or hangs is logged; what matters is in the menu as well.
func (c *controller) send(do func(context.Context) error) {
	c.out.Put(func() {
		if err := do(c.ctx); err != nil && c.ctx.Err() == nil {
			c.Log.Warn("cannot notify", "error", err)
		}
	})
}
