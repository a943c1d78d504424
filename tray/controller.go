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
)

const (
	// settle is how long a menu has to close before the password is asked for. GNOME
	// reports its dialog as dismissed when it can't grab the keyboard, and an open
	// menu holds it.
	settle = 200 * time.Millisecond
	// doubleClick is the time within which a second click belongs to the first. Else
	// it would undo it: lock, then ask for the password to unlock.
	doubleClick = 600 * time.Millisecond
	// trayGrace is how long there may be no tray before that is told: at login the
	// applet is often there before the panel.
	trayGrace = 30 * time.Second
	// showAgain is how long a tray that did not take a picture is left alone.
	showAgain = 2 * time.Second
)

// slotAbout is the notification slot of what the menu's "About" shows.
const slotAbout = "about"

type source interface {
	Read() Report
	Watch(ctx context.Context, changed func(Report)) error
	// IsAtWork reports whether a package manager still is.
	IsAtWork(h helper.Busy) bool
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
	Snooze()
	SessionBegan() // reminding starts anew, and a snooze ends
	LockBegan()    // what changes now is a lock at work
	LockEnded()
	SnoozedUntil() (time.Time, bool)
}

// A restarter restarts services of the system. The error is a client.ErrCancelled when the
// password prompt was dismissed.
type restarter interface {
	Restart(ctx context.Context, units []string) error
}

// A screen shows a model. After an error what it shows is unknown.
type screen interface{ Show(Model) error }

// A Controller knows what is known, shows it, and carries out what is clicked. Its
// fields are set before Run.
type Controller struct {
	System    source
	Helper    requester
	Services  restarter
	History   historian // nil: the menu has none
	Notes     poster
	Reminders reminders
	Screen    screen
	Clock     notify.Clock
	Settings  Settings
	Version   string
	Log       *slog.Logger
	Quit      func()                      // asked for in the menu
	MayLock   func(context.Context) error // why a lock would ask for a password; nil when not
	Wall      func() time.Time            // the time of day; nil means time.Now

	in  *mailbox // what has happened
	out *mailbox // what is to be told; a daemon may keep us waiting

	// The rest belongs to Run's goroutine.
	ctx        context.Context
	report     Report
	read       bool // report has been read
	asked      helper.Verb
	trouble    *Trouble
	memory     memory
	restarting bool                 // services are asked to be restarted
	sure       bool                 // it is asked whether to lock although programs are writing
	awaited    *helper.Busy         // the package manager at whose end to lock; may be nil
	lookAt     time.Time            // when to look for that end
	told       *notify.Notification // of what keeps the system from being locked; nil: nothing
	clicked    time.Time
	shown      *Model    // nil: nothing, or nobody knows what
	unshown    bool      // the last attempt to show failed
	noTray     time.Time // since when there is no tray; zero when there is one
	noTrayDue  bool      // it is to be told, once
}

// NewController returns a controller whose fields are to be set.
func NewController() *Controller {
	return &Controller{in: newMailbox(), out: newMailbox(), noTrayDue: true}
}

// Activate is a click on the padlock. It does not wait.
func (c *Controller) Activate() { c.in.put(c.activated) }

// Choose is a click on an entry of the menu. It does not wait.
func (c *Controller) Choose(id ID) { c.in.put(func() { c.chosen(id) }) }

// LockNow is the reminder's button. It does not wait.
func (c *Controller) LockNow() { c.in.put(c.lock) }

// Extend is the button of the announcement that the window ends. It does not wait.
func (c *Controller) Extend() { c.in.put(c.extend) }

// Refresh says that something else that is shown has changed. It does not wait.
func (c *Controller) Refresh() { c.in.put(func() {}) }

// TrayPresent says whether there is a tray to be shown in. It does not wait.
func (c *Controller) TrayPresent(present bool) {
	c.in.put(func() {
		c.Log.Debug("tray host", "present", present)
		c.noTray = time.Time{}
		if !present {
			c.noTray = c.Clock.Now()
		}
	})
}

// Tell shows a notification that is no answer to a request.
func (c *Controller) Tell(slot string, n notify.Notification) {
	c.in.put(func() { c.post(slot, n) })
}

// First reads the system, and returns what is to be shown before Run runs.
func (c *Controller) First() Model {
	c.took(c.System.Read())
	return Build(c.snapshot())
}

// Run shows and obeys until ctx ends.
func (c *Controller) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	c.ctx = ctx
	if c.read {
		c.remember()
	}
	ended := make(chan struct{}, 2)
	go func() {
		defer func() { ended <- struct{}{} }()
		if err := c.System.Watch(ctx, func(r Report) { c.in.put(func() { c.took(r) }) }); err != nil {
			c.Log.Error("cannot watch the state", "error", err)
		}
	}()
	go func() {
		defer func() { ended <- struct{}{} }()
		c.tellAll(ctx)
	}()
	defer func() {
		cancel()
		<-ended
		<-ended
		c.withdraw(ctx)
	}()
	for {
		c.in.empty()
		c.lookForEnd()
		c.show()
		c.tellProblem()
		timer, stop := c.timer()
		select {
		case <-c.in.bell:
		case <-timer:
		case <-ctx.Done():
			stop()
			return
		}
		stop()
	}
}

func (c *Controller) tellAll(ctx context.Context) {
	for {
		select {
		case <-c.out.bell:
			c.out.empty()
		case <-ctx.Done():
			return
		}
	}
}

// took takes a report, whoever brought it.
func (c *Controller) took(r Report) {
	if c.read && reflect.DeepEqual(r, c.report) {
		return
	}
	if !reflect.DeepEqual(r.Status.Overdue, c.report.Status.Overdue) && c.trouble.isObstacle() {
		c.trouble = nil // the lock at the end of the window has found something newer
	}
	c.read, c.report = true, r
	c.Log.Debug("state", "state", r.Status.State, "face", r.face())
	status := r.Status
	if r.face() == notSetUp {
		// What can't be locked needs no reminder to lock it.
		status.State = helper.Unknown
	}
	c.Reminders.Update(status)
	c.remember()
	if t := c.trouble; t != nil && (t.Verb != helper.Unlock && r.face() == locked ||
		t.Verb == helper.Unlock && r.face() == unlocked) {
		c.trouble = nil
	}
	if r.face() == locked {
		c.awaited = nil
	}
	if _, _, blocked := c.snapshot().blocked(); !blocked {
		c.sure = false
	}
}

// show brings the tray up to date.
func (c *Controller) show() {
	if !c.read {
		return
	}
	if c.trayMissing() {
		c.noTrayDue = false
		c.sayNoTray()
	}
	model := Build(c.snapshot())
	if c.shown != nil && reflect.DeepEqual(model, *c.shown) {
		return
	}
	if err := c.Screen.Show(model); err != nil {
		c.Log.Warn("cannot bring the tray up to date", "error", err)
		c.shown, c.unshown = nil, true
		return
	}
	c.shown, c.unshown = &model, false
}

func (c *Controller) snapshot() Snapshot {
	s := Snapshot{
		Now:        c.now(),
		Report:     c.report,
		Asked:      c.asked,
		Trouble:    c.trouble,
		Past:       c.memory.past,
		Awaited:    c.awaited,
		Sure:       c.sure,
		Restarting: c.restarting,
		Snooze:     c.Settings.Remind.Snooze,
	}
	if until, ok := c.Reminders.SnoozedUntil(); ok {
		// The moment is computed anew each time; a second more or less is no change.
		s.RemindersOff = until.Round(time.Minute)
	}
	return s
}

func (c *Controller) now() time.Time {
	if c.Wall != nil {
		return c.Wall()
	}
	return time.Now()
}

func (c *Controller) trayMissing() bool {
	return c.noTrayDue && !c.noTray.IsZero() && c.Clock.Now().Sub(c.noTray) >= trayGrace
}

// timer returns a channel that says when what is shown is no longer true; nil when
// that depends on others only. A locked padlock never wakes the machine.
func (c *Controller) timer() (<-chan time.Time, func()) {
	var waits []time.Duration
	if c.noTrayDue && !c.noTray.IsZero() {
		waits = append(waits, trayGrace-c.Clock.Now().Sub(c.noTray))
	}
	if c.unshown {
		waits = append(waits, showAgain)
	}
	if c.awaited != nil && c.asked == "" {
		waits = append(waits, c.lookAt.Sub(c.Clock.Now()))
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
func (c *Controller) activated() {
	now := c.Clock.Now()
	if now.Sub(c.clicked) < doubleClick && !c.clicked.IsZero() {
		return
	}
	c.clicked = now
	if c.asked != "" {
		return
	}
	switch shown := c.report.face(); {
	case shown == notSetUp, shown == unknown:
		c.explain()
	case shown != locked:
		c.lock()
	case c.Settings.Click == ClickToggle:
		c.request(helper.Request{Verb: helper.Unlock}, 0)
	default:
		c.post(notify.SlotFeedback, notify.Feedback(c.report.Status, c.now(), string(icons.Locked)))
	}
}

// chosen is a click on an entry of the menu.
func (c *Controller) chosen(id ID) {
	switch id {
	case IDLock:
		c.request(helper.Request{Verb: helper.Lock}, settle)
	case IDQuarter:
		c.request(helper.Request{Verb: helper.Unlock, For: quarter}, settle)
	case IDHour:
		c.request(helper.Request{Verb: helper.Unlock, For: hour}, settle)
	case IDUnlock:
		c.request(helper.Request{Verb: helper.Unlock, UntilLocked: true}, settle)
	case IDForce:
		c.askForce()
	case IDSure:
		c.lockForce(settle)
	case IDUnsure, IDUnwait:
		c.takeBack()
	case IDWait:
		c.await()
	case IDRestart:
		c.restart()
	case IDSnooze:
		c.Reminders.Snooze()
	case IDRemind:
		c.Reminders.SessionBegan()
	case IDAbout:
		c.about()
	case IDQuit:
		c.Quit()
	}
}
