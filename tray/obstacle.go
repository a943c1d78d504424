package tray

import (
	"reflect"
	"time"

	"immutray.org/helper"
)

// busyEvery is how often the controller looks whether a package manager is done, while the
// person waits for that.
const busyEvery = 3 * time.Second

// A failure is a request that failed, and has not been made good since.
type failure struct {
	Verb    helper.Verb
	Err     error
	Hint    string
	Blocked bool
	Writers []helper.Writer
	// MoreWriters is how many others there are that are not listed.
	MoreWriters int
	// Busy is what the lock must not disturb and whose end can be waited for; nil when there
	// is none.
	Busy *helper.Busy
	// Restart is set when it was services that could not be restarted; Verb is empty then.
	Restart bool
}

// isObstacle reports whether the lock at the end of a window may meet it as well.
func (f *failure) isObstacle() bool { return f != nil && (f.Blocked || f.Busy != nil) }

// An obstacle is what keeps the system from being locked, as far as requests have found it,
// and what the person wants to do about it. It is pure: no clock, no bus, no goroutine.
type obstacle struct {
	Failure *failure     // nil when there is none
	Awaited *helper.Busy // at whose end to lock; nil when nothing is waited for
	Sure    bool         // the person is asked whether to lock although programs are writing
	lookAt  time.Time    // when to look whether what is awaited has ended
}

// observed drops what is no longer so in a report that follows another.
func (o *obstacle) observed(before, now report) {
	if o.Failure.isObstacle() && !reflect.DeepEqual(now.Status.Overdue, before.Status.Overdue) {
		o.Failure = nil // the lock at the end of the window has found something newer
	}
	shown := now.face()
	if f := o.Failure; f != nil && (f.Verb != helper.Unlock && shown == locked || f.Verb == helper.Unlock && shown == unlocked) {
		o.Failure = nil
	}
	if shown == locked {
		o.Awaited = nil
	}
	if _, _, blocked := o.blocked(now.Status); !blocked {
		o.Sure = false
	}
}

// requested says that the helper is asked for something: the next answer counts.
func (o *obstacle) requested() { o.Failure, o.Sure = nil, false }

// restarting says that services are restarted, which does not change what keeps the system
// from being locked.
func (o *obstacle) restarting() {
	if !o.Failure.isObstacle() {
		o.Failure = nil
	}
}

// blocked returns who is in the way of a lock that was blocked: the last one that was
// asked for here, or that at the end of the window. The writers may be unknown, or too many
// to be listed.
func (o *obstacle) blocked(status helper.Status) (writers []helper.Writer, unlisted int, is bool) {
	if o.Failure != nil && o.Failure.Blocked {
		return o.Failure.Writers, o.Failure.MoreWriters, true
	}
	if over := status.Overdue; over != nil && over.Outcome == helper.Blocked {
		return over.Writers, over.MoreWriters, true
	}
	return nil, 0, false
}

// ask asks whether to lock although programs are writing.
func (o *obstacle) ask(status helper.Status) {
	if _, _, blocked := o.blocked(status); blocked {
		o.Sure = true
	}
}

// await waits for the end of what is busy.
func (o *obstacle) await(now time.Time) {
	if f := o.Failure; f != nil && f.Busy != nil {
		o.Awaited, o.Failure, o.lookAt = f.Busy, nil, now.Add(busyEvery)
	}
}

// takeBack is the other answer to a question, and the end of a wait.
func (o *obstacle) takeBack() { o.Sure, o.Awaited = false, nil }

// hasEnded reports whether to lock because what is awaited has ended. It looks only as
// often as busyEvery says.
func (o *obstacle) hasEnded(now time.Time, isBusy func(helper.Busy) bool) bool {
	if o.Awaited == nil || now.Before(o.lookAt) {
		return false
	}
	if isBusy(*o.Awaited) {
		o.lookAt = now.Add(busyEvery)
		return false
	}
	return true
}

// answered takes the answer to a request, and reports whether the wait goes on: a package
// manager is busy again, or still. One whose end can't be seen is no reason to wait, as each
// attempt may ask for a password.
func (o *obstacle) answered(now time.Time, result *helper.Result, isBusy func(helper.Busy) bool) bool {
	if o.Awaited != nil && result != nil && result.Busy != nil && isBusy(*result.Busy) {
		o.Awaited, o.lookAt = result.Busy, now.Add(busyEvery)
		return true
	}
	o.Awaited = nil
	return false
}
