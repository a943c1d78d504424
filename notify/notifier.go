package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	busName    = "org.freedesktop.Notifications" // also the interface
	objectPath = "/org/freedesktop/Notifications"
)

// defaultTimeout is how long a daemon has for an answer. Starting one that the bus
// activates counts too; if that takes longer, we learn of it by its name.
const defaultTimeout = 5 * time.Second

// busTimeout is how long the bus itself has, at the start and at the end.
const busTimeout = 5 * time.Second

// ErrNoDaemon says that no daemon runs that shows notifications, and that the bus
// knows none that it could start.
var ErrNoDaemon = errors.New("no notification daemon")

// ErrNoAnswer says that the notification daemon hangs.
var ErrNoAnswer = errors.New("the notification daemon does not answer")

// Options say how a Notifier works; the zero value will do.
type Options struct {
	// Timeout bounds each Post and Close; 0 means 5 seconds.
	Timeout time.Duration
	// OnAction is called when a button is pressed, in any slot; those of SlotReminder
	// are handled by Reminders. It must not block: no further signal
	// is read meanwhile.
	OnAction func(slot, action string)
	// Fallback shows a notification where there is no daemon; nil: nothing does.
	// It has no buttons, and can't be replaced or closed. See [Beeep].
	Fallback func(Notification) error

	// bound bounds a Post or Close; nil: by Timeout. Tests say themselves when a
	// daemon has taken too long.
	bound func(context.Context) (context.Context, context.CancelFunc)
}

// A Notifier shows notifications through the desktop's daemon. Its methods may be
// called by any goroutine.
type Notifier struct {
	options Options
	conn    *dbus.Conn
	object  dbus.BusObject
	signals chan *dbus.Signal
	ctx     context.Context // ends with Stop
	cancel  context.CancelFunc
	running sync.WaitGroup
	turn    chan struct{} // holds the token of the goroutine that posts or closes
	aside   chan struct{} // holds the token of the fallback that runs

	mu        sync.Mutex
	owner     string        // unique name of the daemon; "" when there is none
	changed   dbus.Sequence // when owner became so
	slots     map[string]*slot
	pending   int // calls of Notify that have no answer yet
	early     []*dbus.Signal
	listeners map[*func(event)]struct{}
}

// A slot is what we know of the one notification that it shows.
type slot struct {
	id      uint32        // the daemon's id; 0 when nothing is shown
	at      dbus.Sequence // when the daemon gave it
	again   dbus.Sequence // when it gave it once more, for a replacement; else 0
	pending bool          // Notify was called and has no answer yet
	dropped bool          // closed while pending: to be closed when the answer comes
}

// An event is something that a daemon did, or its coming and going.
type event struct {
	kind   eventKind
	slot   string
	action string
}

type eventKind int

const (
	actionInvoked eventKind = iota // a button was pressed
	closedByOther                  // what a slot showed was closed, and not by us
	daemonGone                     // and with it all that it showed
	daemonReady                    // there is one to be asked, again or for the first time
)

// NewNotifier returns a Notifier on a connection to the session bus, which stays
// the caller's. Stop must be called in the end, before the connection is closed or
// after.
func NewNotifier(conn *dbus.Conn, options Options) (*Notifier, error) {
	if options.Timeout == 0 {
		options.Timeout = defaultTimeout
	}
	if options.bound == nil {
		options.bound = func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, options.Timeout)
		}
	}
	n := &Notifier{
		options: options,
		conn:    conn,
		object:  conn.Object(busName, objectPath),
		// Large enough that godbus never finds it full: it would deliver what does
		// not fit out of order.
		signals:   make(chan *dbus.Signal, 256),
		turn:      make(chan struct{}, 1),
		aside:     make(chan struct{}, 1),
		slots:     map[string]*slot{},
		listeners: map[*func(event)]struct{}{},
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(n.ctx, busTimeout)
	defer cancel()
	conn.Signal(n.signals)
	for _, match := range matches() {
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			n.Stop()
			return nil, fmt.Errorf("cannot listen to the notification daemon: %w", err)
		}
	}
	call := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, busName)
	var owner string
	if call.Store(&owner) == nil { // it fails when there is no owner
		n.owner, n.changed = owner, call.ResponseSequence
	}
	n.running.Add(1)
	go n.read()
	return n, nil
}

// matches returns the rules for the signals that matter.
func matches() [][]dbus.MatchOption {
	return [][]dbus.MatchOption{
		{
			dbus.WithMatchSender("org.freedesktop.DBus"),
			dbus.WithMatchInterface("org.freedesktop.DBus"),
			dbus.WithMatchMember("NameOwnerChanged"),
			dbus.WithMatchArg(0, busName),
		},
		{dbus.WithMatchSender(busName), dbus.WithMatchInterface(busName), dbus.WithMatchMember("ActionInvoked")},
		{dbus.WithMatchSender(busName), dbus.WithMatchInterface(busName), dbus.WithMatchMember("NotificationClosed")},
	}
}

// Stop ends the Notifier. What it shows stays.
func (n *Notifier) Stop() {
	n.mu.Lock()
	stopped := n.ctx.Err() != nil
	n.cancel()
	n.mu.Unlock()
	if stopped {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), busTimeout)
	defer cancel()
	for _, match := range matches() {
		// It fails where the bus is gone, and the rule with it.
		_ = n.conn.RemoveMatchSignalContext(ctx, match...)
	}
	n.conn.RemoveSignal(n.signals)
	n.running.Wait()
}

// listen calls hear with every event until forget is called. Hear must not block.
func (n *Notifier) listen(hear func(event)) (forget func()) {
	key := &hear
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[key] = struct{}{}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.listeners, key)
	}
}

func (n *Notifier) emit(events ...event) {
	n.mu.Lock()
	var listeners []func(event)
	for l := range n.listeners {
		listeners = append(listeners, *l)
	}
	n.mu.Unlock()
	for _, e := range events {
		if e.kind == actionInvoked && n.options.OnAction != nil {
			n.options.OnAction(e.slot, e.action)
		}
		for _, l := range listeners {
			l(e)
		}
	}
}

// read handles the signals of the bus until Stop, or until the bus is gone.
func (n *Notifier) read() {
	defer n.running.Done()
	for {
		select {
		case signal, ok := <-n.signals:
			if !ok {
				return
			}
			n.emit(n.handle(signal)...)
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *Notifier) handle(signal *dbus.Signal) []event {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch signal.Name {
	case "org.freedesktop.DBus.NameOwnerChanged":
		var name, before, after string
		if signal.Sender != "org.freedesktop.DBus" || dbus.Store(signal.Body, &name, &before, &after) != nil || name != busName {
			return nil
		}
		return n.ownerChanged(signal.Sequence, before, after)
	case busName + ".ActionInvoked", busName + ".NotificationClosed":
		// Ids are the daemon's own, small numbers that any client may emit: only
		// the daemon's word counts.
		if signal.Sender != n.owner || n.owner == "" {
			return nil
		}
		events := n.concerning(signal)
		if events == nil && n.pending > 0 && len(n.early) < cap(n.signals) {
			// It may be about a notification whose id is still on its way to us.
			n.early = append(n.early, signal)
		}
		return events
	}
	return nil
}

// ownerChanged forgets every id that another daemon gave: with this one it may be
// the id of another program's notification.
func (n *Notifier) ownerChanged(at dbus.Sequence, before, after string) []event {
	if at <= n.changed {
		return nil
	}
	n.owner, n.changed = after, at
	for _, s := range n.slots {
		if s.at < at {
			s.id = 0
		}
	}
	var events []event
	if before != "" {
		events = append(events, event{kind: daemonGone})
	}
	if after != "" {
		events = append(events, event{kind: daemonReady})
	}
	return events
}

// concerning returns what a signal of the daemon says about our slots. A closing
// that is older than a replacement under the same id is about what was replaced; a
// button counts all the same.
func (n *Notifier) concerning(signal *dbus.Signal) []event {
	if len(signal.Body) != 2 {
		return nil
	}
	id, ok := signal.Body[0].(uint32)
	if !ok || id == 0 {
		return nil
	}
	for name, s := range n.slots {
		if s.id != id {
			continue
		}
		if action, ok := signal.Body[1].(string); ok && signal.Name == busName+".ActionInvoked" {
			return []event{{actionInvoked, name, action}}
		}
		if signal.Name == busName+".NotificationClosed" && signal.Sequence > s.again {
			s.id = 0
			return []event{{kind: closedByOther, slot: name}}
		}
	}
	return nil
}
