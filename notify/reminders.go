package notify

import (
	"context"
	"errors"
	"sync"
	"time"

	"immutray.org/helper"
	"immutray.org/notify/mailbox"
)

// Reminders reminds the person of a system that is not locked, for as long as Run
// runs. Set the exported fields before that; of those only Notifier and Clock are
// needed.
type Reminders struct {
	Notifier *Notifier
	Clock    Clock
	Settings Settings // at the start; the zero value means DefaultSettings
	// LockNow is called when the person presses "Lock now". It must not block.
	LockNow func()
	// Extend is called when the person wants the window to last longer, by Extension.
	// It must not block.
	Extend func()
	// Changed is called when SnoozedUntil has changed. It must not block.
	Changed func()
	// Failed is called for notifications that could not be shown. It must not block.
	Failed func(error)
	// Icon returns the icon for a state; nil means no icon.
	Icon func(helper.State) string
	// Wall returns the time of day for texts; nil means time.Now. The Clock does not
	// know it: it may have been set since.
	Wall func() time.Time

	mail mailbox.Mailbox[func(*run)] // what Run has to do

	mu      sync.Mutex
	snoozed time.Time // on the Clock; what SnoozedUntil says
}

// A run is the state of one Run. Its goroutine alone touches it.
type run struct {
	*Reminders
	schedule schedule
	ending   ending
	status   helper.Status // the last that was not unknown
	text     Notification  // what is shown
	textAt   time.Time     // the time of day that text was made for
}

// Update says what state the system is in. It does not wait.
func (r *Reminders) Update(status helper.Status) {
	r.mail.Put(func(r *run) { r.update(status) })
}

// Use replaces the settings. It does not wait.
func (r *Reminders) Use(s Settings) {
	r.mail.Put(func(r *run) { r.schedule.use(s.orDefault()) })
}

// Snooze puts the next reminder off, as the reminder's button does. It does not
// wait. While the system is locked it does nothing.
func (r *Reminders) Snooze() {
	r.mail.Put(func(r *run) { r.schedule.snooze(r.Clock.Now()) })
}

// LockBegan says that a lock was asked for. Reminders stay as they are until LockEnded
// says that there is an answer, but no longer than a few minutes.
func (r *Reminders) LockBegan() {
	r.mail.Put(func(r *run) { r.schedule.lockBegan(r.Clock.Now()) })
}

// LockEnded ends what LockBegan began.
func (r *Reminders) LockEnded() {
	r.mail.Put(func(r *run) { r.schedule.lockEnded() })
}

// SessionBegan says that the person's session has just begun: reminding starts from the
// beginning, as if the system had been unlocked now. Run calls it itself at its start.
func (r *Reminders) SessionBegan() {
	r.mail.Put(func(r *run) { r.schedule.begin(r.Clock.Now()) })
}

// SnoozedUntil returns the time of day until which reminders are put off; false
// when they aren't.
func (r *Reminders) SnoozedUntil() (time.Time, bool) {
	r.mu.Lock()
	until := r.snoozed
	r.mu.Unlock()
	left := until.Sub(r.Clock.Now())
	if until.IsZero() || left <= 0 {
		return time.Time{}, false
	}
	return r.now().Add(left), true
}

func (r *Reminders) now() time.Time {
	if r.Wall != nil {
		return r.Wall()
	}
	return time.Now()
}

// Run reminds until the context ends, and closes what it shows then: the buttons
// would do nothing any more. It may be called once.
func (r *Reminders) Run(ctx context.Context) {
	state := &run{Reminders: r, schedule: schedule{settings: r.Settings.orDefault()}}
	state.schedule.begin(r.Clock.Now())
	forget := r.Notifier.listen(func(e event) {
		r.mail.Put(func(r *run) { r.heard(e) })
	})
	defer forget()
	defer state.leave(ctx)

	arrived := r.mail.Bell()
	var timer <-chan time.Time
	stop := func() {}
	defer func() { stop() }()
	for {
		state.act(ctx)
		// The old timer goes only now: a test that watches the clock sees that all that
		// arrived has been dealt with.
		stopOld := stop
		timer, stop = state.timer()
		stopOld()
		select {
		case <-timer:
		case <-arrived:
		case <-ctx.Done():
			return
		}
		for _, do := range r.mail.Take() {
			do(state)
		}
	}
}

// timer returns a channel that says when to act again; nil when that depends on
// others only.
func (r *run) timer() (<-chan time.Time, func()) {
	at, ok := r.schedule.wake()
	if end, ends := r.ending.wake(); ends && (!ok || end.Before(at)) {
		at, ok = end, true
	}
	if !ok {
		return nil, func() {}
	}
	return r.Clock.After(at.Sub(r.Clock.Now()))
}

func (r *run) update(status helper.Status) {
	var since time.Time
	if status.Window != nil {
		since = status.Window.Since
	}
	now := r.Clock.Now()
	r.schedule.update(now, status.State, since)
	r.ending.update(now, r.now(), status)
	if status.State == helper.Unknown {
		return
	}
	r.status = status
	// The text is compared for the moment it was made for: that time has
	// passed alone is no reason to post it again.
	if isOpen(status.State) {
		r.schedule.textIs(now, !r.compose(r.textAt).differs(r.text))
	}
}

func (r *run) compose(at time.Time) Notification {
	return Reminder(r.status, at, r.schedule.settings.Snooze, r.icon())
}

func (r *run) icon() string {
	if r.Icon == nil {
		return ""
	}
	return r.Icon(r.status.State)
}

func (n Notification) differs(from Notification) bool {
	return n.Summary != from.Summary || n.Body != from.Body || n.Icon != from.Icon
}

// heard takes what the daemon did. By now the Notifier may know of later things:
// what it says counts.
func (r *run) heard(e event) {
	now := r.Clock.Now()
	shows := r.Notifier.Shows(SlotReminder)
	switch e.kind {
	case actionInvoked:
		if e.slot == SlotEnding && e.action == ActionExtend && r.Extend != nil {
			r.Extend()
		}
		if e.slot != SlotReminder {
			return
		}
		switch e.action {
		case ActionLock:
			r.schedule.lockAsked(now)
			if r.LockNow != nil {
				r.LockNow()
			}
		case ActionSnooze:
			r.schedule.snooze(now)
		}
	case closedByOther:
		if e.slot == SlotReminder && !shows {
			r.schedule.dismissed()
		}
		if e.slot == SlotEnding && !r.Notifier.Shows(SlotEnding) {
			r.ending.dismissed()
		}
	case daemonGone:
		if !shows {
			r.schedule.lost()
		}
	case daemonReady:
		r.schedule.daemonReady(now)
	}
}

// act does what is to be done now.
func (r *run) act(ctx context.Context) {
	r.announce(ctx)
	r.remind(ctx)
}

// announce does what the end of the window asks for.
func (r *run) announce(ctx context.Context) {
	for ctx.Err() == nil {
		at := r.now()
		switch r.ending.step(r.Clock.Now(), at) {
		case endingAnnounce:
			r.fail(r.Notifier.Post(ctx, SlotEnding, Ending(r.ending.until, at, r.icon())))
		case endingWithdraw:
			r.fail(r.Notifier.Close(ctx, SlotEnding))
		default:
			return
		}
	}
}

// remind does what the schedule asks for.
func (r *run) remind(ctx context.Context) {
	for ctx.Err() == nil {
		switch what := r.schedule.step(r.Clock.Now()); what {
		case wait:
			r.publish()
			return
		case unshow:
			r.fail(r.Notifier.Close(ctx, SlotReminder))
			r.schedule.unshown()
		default:
			at := r.now()
			note := r.compose(at)
			r.text, r.textAt = note, at
			note.Silent = what == refresh
			byDaemon, err := r.Notifier.show(ctx, SlotReminder, note)
			r.fail(err)
			r.schedule.done(r.Clock.Now(), what, deliveryOf(byDaemon, err))
		}
	}
}

// deliveryOf returns what became of a notification that show returned for. Whether the
// Notifier still shows the slot does not matter: what was closed was delivered.
func deliveryOf(byDaemon bool, err error) delivery {
	switch {
	case byDaemon:
		return delivered
	case err == nil:
		return passing
	case errors.Is(err, ErrNoDaemon):
		return noDaemon
	}
	return undelivered
}

func (r *run) fail(err error) {
	if err != nil && r.Failed != nil && !errors.Is(err, context.Canceled) {
		r.Failed(err)
	}
}

// publish makes the snooze known to SnoozedUntil.
func (r *run) publish() {
	until, _ := r.schedule.snoozedUntil(r.Clock.Now())
	r.mu.Lock()
	changed := !until.Equal(r.snoozed)
	r.snoozed = until
	r.mu.Unlock()
	if changed && r.Changed != nil {
		r.Changed()
	}
}

// leave closes what is shown although the context has ended. It does not wait long:
// the request is on its way, and a daemon that hangs reads it when it comes to.
func (r *run) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	r.fail(r.Notifier.Close(ctx, SlotReminder))
	r.fail(r.Notifier.Close(ctx, SlotEnding))
}
