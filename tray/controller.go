package tray

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"immutray.org/helper"
	"immutray.org/icons"
	"immutray.org/notify"
	"immutray.org/notify/mailbox"
)

const (
	// settle is how long a menu has to close before the password is asked for. GNOME
	// reports its dialog as dismissed when it can't grab the keyboard, and an open
	// menu holds it.
	settle = 200 * time.Millisecond
	// doubleClick is the time within which a second click belongs to the first. Else
	// it would undo it: lock, then ask for the password to unlock.
	doubleClick = 600 * time.Millisecond
)

// slotAbout is the notification slot of what the menu's "About" shows.
const slotAbout = "about"

type source interface {
	Read() report
	Watch(ctx context.Context, changed func(report)) error
	// IsBusy reports whether what a lock must not disturb has not ended yet.
	IsBusy(b helper.Busy) bool
}

type requester interface {
	Do(ctx context.Context, r helper.Request) (*helper.Result, error)
}

type poster interface {
	Post(ctx context.Context, slot string, n notify.Notification) error
	Close(ctx context.Context, slot string) error
}

type reminders interface {
	Update(status helper.Status)
	Use(s notify.Settings)
	Snooze()
	SessionBegan() // reminding starts from the beginning, and a snooze ends
	LockBegan()    // what changes now is because of a lock
	LockEnded()
	SnoozedUntil() (time.Time, bool)
}

// A restarter restarts services of the system. The error is a client.ErrCancelled when the
// password prompt was dismissed.
type restarter interface {
	Restart(ctx context.Context, units []string) error
}

// surroundings are what a controller works with.
type surroundings struct {
	System    source
	Helper    requester
	Services  restarter
	History   historian // nil: the menu has none
	Notes     poster
	Reminders reminders
	Screen    screen
	Clock     notify.Clock
	Settings  settings // at the start; Run's goroutine replaces them
	Version   string
	Log       *slog.Logger
	Quit      func()                      // asked for in the menu
	MayLock   func(context.Context) error // why a lock would ask for a password; nil when not
	Wall      func() time.Time            // the time of day; nil means time.Now
}

// A controller knows what is known, shows it, and carries out what is clicked. Its
// surroundings are set before Run. Methods with a capital letter may be called by any
// goroutine once it runs, the others only by Run's.
type controller struct {
	surroundings

	in  mailbox.Mailbox[func()] // what has happened
	out mailbox.Mailbox[func()] // notifications to be sent; a daemon may keep us waiting

	// The rest belongs to Run's goroutine.
	ctx        context.Context
	report     report
	read       bool // report has been read
	asked      helper.Verb
	clicked    time.Time
	obstacle   obstacle
	noted      *notify.Notification // of what keeps the system from being locked; nil: nothing
	restarting bool                 // services are asked to be restarted
	memory     memory
	faults     []string // of the settings
	display    display
	absence    absence
}

// Activate is a click on the padlock. It does not wait.
func (c *controller) Activate() { c.in.Put(c.activated) }

// Choose is a click on an entry of the menu. It does not wait.
func (c *controller) Choose(id entryID) { c.in.Put(func() { c.chosen(id) }) }

// LockNow is the reminder's button. It does not wait.
func (c *controller) LockNow() { c.in.Put(c.lock) }

// Extend is the button of the announcement that the window ends. It does not wait.
func (c *controller) Extend() { c.in.Put(c.extend) }

// Refresh says that something else that is shown has changed. It does not wait.
func (c *controller) Refresh() { c.in.Put(func() {}) }

// TrayPresent says whether there is a tray to be shown in. It does not wait.
func (c *controller) TrayPresent(present bool) {
	c.in.Put(func() {
		c.Log.Debug("tray host", "present", present)
		c.absence.changed(c.Clock.Now(), present)
	})
}

// Notify shows a notification that is no answer to a request. It does not wait.
func (c *controller) Notify(slot string, n notify.Notification) {
	c.in.Put(func() { c.post(slot, n) })
}

// First reads the system, and returns what is to be shown before Run runs.
func (c *controller) First() model {
	c.took(c.System.Read())
	return build(c.snapshot())
}

// Run shows and obeys until ctx ends.
func (c *controller) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	c.ctx = ctx
	if c.read {
		c.remember()
	}
	ended := make(chan struct{}, 2)
	go func() {
		defer func() { ended <- struct{}{} }()
		if err := c.System.Watch(ctx, func(r report) { c.in.Put(func() { c.took(r) }) }); err != nil {
			c.Log.Error("cannot watch the state", "error", err)
		}
	}()
	go func() {
		defer func() { ended <- struct{}{} }()
		c.sendAll(ctx)
	}()
	defer func() {
		cancel()
		<-ended
		<-ended
		c.closeObstacle(ctx)
	}()
	for {
		for _, do := range c.in.Take() {
			do()
		}
		c.lockAfterWait()
		c.show()
		c.showObstacle()
		timer, stop := c.timer()
		select {
		case <-c.in.Bell():
		case <-timer:
		case <-ctx.Done():
			stop()
			return
		}
		stop()
	}
}

func (c *controller) sendAll(ctx context.Context) {
	for {
		select {
		case <-c.out.Bell():
			for _, do := range c.out.Take() {
				do()
			}
		case <-ctx.Done():
			return
		}
	}
}

// took takes a report, from the watcher or after a request.
func (c *controller) took(r report) {
	if c.read && reflect.DeepEqual(r, c.report) {
		return
	}
	c.obstacle.observed(c.report, r)
	c.read, c.report = true, r
	c.Log.Debug("state", "state", r.Status.State, "face", r.face())
	status := r.Status
	if r.face() == notReady {
		// What can't be locked needs no reminder to lock it.
		status.State = helper.Unknown
	}
	c.Reminders.Update(status)
	c.remember()
}

// show brings the tray up to date.
func (c *controller) show() {
	if !c.read {
		return
	}
	if c.absence.isDue(c.Clock.Now()) {
		c.sayNoTray()
	}
	if err := c.display.show(c.Screen, build(c.snapshot())); err != nil {
		c.Log.Warn("cannot bring the tray up to date", "error", err)
	}
}

func (c *controller) snapshot() snapshot {
	s := snapshot{
		Now:        c.now(),
		Report:     c.report,
		Asked:      c.asked,
		obstacle:   c.obstacle,
		Past:       c.memory.past,
		Restarting: c.restarting,
		Snooze:     c.Settings.Remind.Snooze,
		Style:      c.Settings.Style,
		Faults:     c.faults,
	}
	if until, ok := c.Reminders.SnoozedUntil(); ok {
		// The moment is computed each time; a second more or less is no change.
		s.RemindersOff = until.Round(time.Minute)
	}
	return s
}

func (c *controller) now() time.Time {
	if c.Wall != nil {
		return c.Wall()
	}
	return time.Now()
}

// timer returns a channel that says when what is shown is no longer true; nil when
// that depends on others only. A locked padlock never wakes the machine.
func (c *controller) timer() (<-chan time.Time, func()) {
	var waits []time.Duration
	if left, waiting := c.absence.wait(c.Clock.Now()); waiting {
		waits = append(waits, left)
	}
	if pause, needed := c.display.wait(); needed {
		waits = append(waits, pause)
	}
	if c.obstacle.Awaited != nil && c.asked == "" {
		waits = append(waits, c.obstacle.lookAt.Sub(c.Clock.Now()))
	}
	if w := c.report.Status.Window; w != nil && c.report.face() == unlocked {
		// The next full minute of the window: "for 23 min".
		waits = append(waits, time.Minute-max(0, c.now().Sub(w.Since))%time.Minute)
	}
	if waits == nil {
		return nil, func() {}
	}
	return c.Clock.After(slices.Min(waits))
}

// activated is a click on the padlock.
func (c *controller) activated() {
	now := c.Clock.Now()
	if now.Sub(c.clicked) < doubleClick && !c.clicked.IsZero() {
		return
	}
	c.clicked = now
	if c.asked != "" {
		return
	}
	if c.Settings.Click == clickMenu {
		c.sayMenuLater()
		return
	}
	switch shown := c.report.face(); {
	case shown == notReady, shown == unknown:
		c.explain()
	case shown != locked:
		c.lock()
	case c.Settings.Click == clickToggle:
		c.request(helper.Request{Verb: helper.Unlock}, 0)
	default:
		c.post(notify.SlotFeedback, notify.Feedback(c.report.Status, c.now(), string(icons.Locked)))
	}
}
