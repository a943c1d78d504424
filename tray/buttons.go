package tray

import (
	"context"
	"reflect"
	"time"

	"immutray.org/helper"
	"immutray.org/notify"
)

// The notification of what keeps the system from being locked, and its buttons.

// closeTimeout is how long the end of the applet waits for the notification to be closed.
const closeTimeout = time.Second

// Act is a button of a notification. It does not wait.
func (c *controller) Act(slot, action string) {
	if slot == notify.SlotObstacle {
		c.in.Put(func() { c.acted(action) })
	}
}

func (c *controller) acted(action string) {
	switch action {
	case notify.ActionRetry:
		c.lock()
	case notify.ActionForce:
		c.askForce()
	case notify.ActionSure:
		c.lockForce(0)
	case notify.ActionWait:
		c.await()
	case notify.ActionCancel:
		c.takeBack()
	}
}

func (c *controller) askForce() {
	if c.asked == "" {
		c.obstacle.ask(c.report.Status)
	}
}

// lockForce locks by force, if the person was asked: never at the first click.
func (c *controller) lockForce(delay time.Duration) {
	if c.obstacle.Sure {
		c.request(helper.Request{Verb: helper.LockForce}, delay)
	}
}

func (c *controller) await() {
	if c.asked == "" {
		c.obstacle.await(c.Clock.Now())
	}
}

func (c *controller) takeBack() { c.obstacle.takeBack() }

// lockAfterWait locks when what is awaited has ended.
func (c *controller) lockAfterWait() {
	if c.asked == "" && c.obstacle.hasEnded(c.Clock.Now(), c.System.IsBusy) {
		c.lock()
	}
}

// showObstacle has the one notification of what keeps the system from being locked say
// what is so now. One that says so already is left alone: the person may have closed it.
func (c *controller) showObstacle() {
	n, before := obstacleNote(c.snapshot()), c.noted
	switch {
	case n == nil && before == nil:
	case n == nil:
		c.noted = nil
		c.send(func(ctx context.Context) error { return c.Notes.Close(ctx, notify.SlotObstacle) })
	case before == nil || n.Summary != before.Summary || n.Body != before.Body || !reflect.DeepEqual(n.Actions, before.Actions):
		note := *n
		note.Silent = before != nil && n.Urgency == before.Urgency && n.Summary == before.Summary
		c.noted = n
		c.post(notify.SlotObstacle, note)
	}
}

// closeObstacle closes that notification at the end: its buttons would do nothing any more.
func (c *controller) closeObstacle(ctx context.Context) {
	if c.noted == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := c.Notes.Close(ctx, notify.SlotObstacle); err != nil {
		c.Log.Debug("cannot close the notification", "error", err)
	}
}
