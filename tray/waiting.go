package tray

import (
	"context"
	"reflect"
	"time"

	"immutray.org/helper"
	"immutray.org/notify"
)

// atWorkEvery is how often it is looked whether a package manager is done, while the
// person waits for that.
const atWorkEvery = 3 * time.Second

// leaveTime is how long the end of the applet waits for its notification to be closed.
const leaveTime = time.Second

// Act is a button of a notification. It does not wait.
func (c *Controller) Act(slot, action string) {
	if slot == notify.SlotProblem {
		c.in.put(func() { c.acted(action) })
	}
}

func (c *Controller) acted(action string) {
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

// askForce asks whether to lock although programs are writing.
func (c *Controller) askForce() {
	if _, _, blocked := c.snapshot().blocked(); blocked && c.asked == "" {
		c.sure = true
	}
}

// lockForce locks by force, if that was asked for: never at the first click.
func (c *Controller) lockForce(delay time.Duration) {
	if c.sure {
		c.request(helper.Request{Verb: helper.LockForce}, delay)
	}
}

// await waits for the package manager that is at work, to lock then.
func (c *Controller) await() {
	if t := c.trouble; t != nil && t.Busy != nil && c.asked == "" {
		c.awaited, c.trouble = t.Busy, nil
		c.lookAt = c.Clock.Now().Add(atWorkEvery)
	}
}

// takeBack is the other answer.
func (c *Controller) takeBack() { c.sure, c.awaited = false, nil }

// lookForEnd locks when the package manager that is waited for is done.
func (c *Controller) lookForEnd() {
	now := c.Clock.Now()
	switch {
	case c.awaited == nil || c.asked != "" || now.Before(c.lookAt):
	case c.System.IsAtWork(*c.awaited):
		c.lookAt = now.Add(atWorkEvery)
	default:
		c.lock()
	}
}

// goesOnWaiting says that a package manager is at work again, or still. One whose end
// can't be seen is no reason to wait: each attempt may ask for a password.
func (c *Controller) goesOnWaiting(result *helper.Result) bool {
	if c.awaited == nil || result == nil || result.Busy == nil || !c.System.IsAtWork(*result.Busy) {
		return false
	}
	c.awaited, c.lookAt = result.Busy, c.Clock.Now().Add(atWorkEvery)
	return true
}

// isObstacle reports whether it is of the kind that the lock at the end of a window may
// meet as well.
func (t *Trouble) isObstacle() bool { return t != nil && (t.Blocked || t.Busy != nil) }

// tellProblem has the one notification of what keeps the system from being locked say
// what is so now. One that says so already is left alone: the person may have closed it.
func (c *Controller) tellProblem() {
	n := problem(c.snapshot())
	switch {
	case n == nil && c.told == nil:
	case n == nil:
		c.told = nil
		c.tell(func(ctx context.Context) error { return c.Notes.Close(ctx, notify.SlotProblem) })
	case c.told == nil || n.Summary != c.told.Summary || n.Body != c.told.Body || !reflect.DeepEqual(n.Actions, c.told.Actions):
		note := *n
		note.Silent = c.told != nil && n.Urgency == c.told.Urgency && n.Summary == c.told.Summary
		c.told = n
		c.post(notify.SlotProblem, note)
	}
}

// withdraw closes that notification at the end: its buttons would do nothing any more.
func (c *Controller) withdraw(ctx context.Context) {
	if c.told == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if err := c.Notes.Close(ctx, notify.SlotProblem); err != nil {
		c.Log.Debug("cannot close the notification", "error", err)
	}
}
