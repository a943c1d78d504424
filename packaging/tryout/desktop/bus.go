package desktop

import (
	"context"
	"fmt"
	"sync"

	"github.com/godbus/dbus/v5"
)

// HasOwner reports whether the name has an owner on the session bus.
func (s *Session) HasOwner(name string) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var owned bool
	err := s.bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, name).Store(&owned)
	return owned, err
}

// WaitForName waits until the name has an owner on the session bus, or has none.
func (s *Session) WaitForName(name string, owned bool) error {
	return s.WaitFor(fmt.Sprintf("%s to be owned: %v", name, owned), func() (bool, error) {
		now, err := s.HasOwner(name)
		return now == owned, err
	})
}

// A Notification is one call of Notify that went over the bus.
type Notification struct {
	ReplacesID uint32
	Summary    string
	Body       string
	Actions    []string
	Hints      map[string]dbus.Variant
	Expire     int32
}

// Critical reports whether its urgency is critical.
func (n Notification) Critical() bool {
	urgency, ok := n.Hints["urgency"].Value().(byte)
	return ok && urgency == 2
}

// A Listener records what goes to the notification daemon.
type Listener struct {
	conn *dbus.Conn

	mu     sync.Mutex
	posted []Notification
	closed []uint32 // their ids
}

// Listen records every notification from now on.
func (s *Session) Listen() (*Listener, error) {
	conn, err := dbus.Connect(s.BusAddress())
	if err != nil {
		return nil, err
	}
	rules := []string{"type='method_call',interface='" + NotificationsName + "'"}
	call := conn.BusObject().Call("org.freedesktop.DBus.Monitoring.BecomeMonitor", 0, rules, uint(0))
	if call.Err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot listen on the session bus: %w", call.Err)
	}
	l := &Listener{conn: conn}
	messages := make(chan *dbus.Message, 64)
	conn.Eavesdrop(messages)
	go l.record(messages)
	return l, nil
}

// Close ends the recording.
func (l *Listener) Close() { l.conn.Close() }

func (l *Listener) record(messages <-chan *dbus.Message) {
	for m := range messages {
		member, _ := m.Headers[dbus.FieldMember].Value().(string)
		l.mu.Lock()
		switch member {
		case "Notify":
			var n Notification
			var application, icon string
			if dbus.Store(m.Body, &application, &n.ReplacesID, &icon, &n.Summary, &n.Body, &n.Actions, &n.Hints, &n.Expire) == nil {
				l.posted = append(l.posted, n)
			}
		case "CloseNotification":
			var id uint32
			if dbus.Store(m.Body, &id) == nil {
				l.closed = append(l.closed, id)
			}
		}
		l.mu.Unlock()
	}
}

// Posted returns the notifications so far.
func (l *Listener) Posted() []Notification {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Notification{}, l.posted...)
}

// WaitForNotification waits until one is posted that matches, not counting the
// first skip ones.
func (s *Session) WaitForNotification(l *Listener, what string, skip int, match func(Notification) bool) (found Notification, err error) {
	err = s.WaitFor("a notification "+what, func() (bool, error) {
		for _, n := range l.Posted()[skip:] {
			if match(n) {
				found = n
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		err = fmt.Errorf("%w; there were %+v", err, l.Posted())
	}
	return found, err
}
