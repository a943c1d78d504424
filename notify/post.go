package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper/text"
)

// Bounds of what a daemon is sent, far above what any shows.
const (
	maxSummary = 200
	maxBody    = 2000
)

// Post shows a notification in a slot, in the place of what the slot showed.
//
// Where there is no daemon it is given to the fallback; if that fails too, or there
// is none, the error is ErrNoDaemon. A daemon that hangs costs the timeout, and the
// error is ErrNoAnswer. Nothing more is posted to the slot before such a call is
// answered, so that a daemon that comes to does not find a heap of them.
func (n *Notifier) Post(ctx context.Context, slot string, note Notification) error {
	_, err := n.show(ctx, slot, note)
	return err
}

// show is Post; it also says whether it was the daemon that took the notification.
func (n *Notifier) show(ctx context.Context, slot string, note Notification) (byDaemon bool, err error) {
	ctx, cancel := n.options.bound(ctx)
	defer cancel()
	err = n.takeTurn(ctx)
	if err == nil {
		defer n.endTurn()
		err = n.post(ctx, slot, note)
	}
	byDaemon = err == nil
	if errors.Is(err, ErrNoDaemon) && n.options.Fallback != nil {
		err = n.fallBack(ctx, note)
	}
	if err != nil {
		return false, fmt.Errorf("cannot post notification: %w", err)
	}
	return byDaemon, nil
}

// Close closes what a slot shows, if it shows anything.
func (n *Notifier) Close(ctx context.Context, slot string) error {
	ctx, cancel := n.options.bound(ctx)
	defer cancel()
	if err := n.takeTurn(ctx); err != nil {
		return fmt.Errorf("cannot close notification: %w", err)
	}
	defer n.endTurn()
	id := n.forget(slot)
	if id == 0 {
		return nil
	}
	// A daemon that is gone shows nothing: there is no reason to start it.
	err := n.object.CallWithContext(ctx, busName+".CloseNotification", dbus.FlagNoAutoStart, id).Err
	var refused dbus.Error
	if err == nil || errors.As(err, &refused) {
		return nil // it was closed already
	}
	return fmt.Errorf("cannot close notification: %w", explain(err))
}

// Shows reports whether the daemon shows what was posted to a slot, as far as is
// known.
func (n *Notifier) Shows(slot string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.slots[slot]
	return s != nil && s.id != 0
}

// forget empties a slot and returns the id of what it showed.
func (n *Notifier) forget(name string) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.slots[name]
	if s == nil {
		return 0
	}
	id := s.id
	s.id = 0
	s.dropped = s.pending
	return id
}

// takeTurn lets one goroutine at a time post or close: two that post to one slot
// at once would both replace nothing.
func (n *Notifier) takeTurn(ctx context.Context) error {
	select {
	case n.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return explain(ctx.Err())
	}
}

func (n *Notifier) endTurn() { <-n.turn }

func (n *Notifier) post(ctx context.Context, name string, note Notification) error {
	// Asked before every post, for it changes: xfce4-notifyd shows no buttons while
	// do-not-disturb is on. It also finds a daemon that hangs by a call that leaves
	// nothing behind.
	capabilities, err := n.capabilities(ctx)
	if err != nil {
		return err
	}
	replaces, err := n.reserve(name)
	if err != nil {
		return err
	}
	args := arguments(note, replaces, capabilities)
	// The call lives as long as the Notifier, not as ctx: the id in a late answer
	// is the only handle on what the daemon then shows.
	call := n.object.GoWithContext(n.ctx, busName+".Notify", 0, make(chan *dbus.Call, 1), args...)
	select {
	case <-call.Done:
		events, err := n.answered(name, call)
		n.emit(events...)
		return err
	case <-ctx.Done():
		n.answerLater(name, call)
		return explain(ctx.Err())
	}
}

// reserve marks a slot as being posted to and returns the id to replace.
func (n *Notifier) reserve(name string) (uint32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.slots[name]
	if s == nil {
		s = &slot{}
		n.slots[name] = s
	}
	if s.pending {
		return 0, ErrNoAnswer
	}
	s.pending, s.dropped = true, false
	n.pending++
	return s.id, nil
}

// answered stores the id that a call of Notify returned. It is always the returned
// one: for a notification that was dismissed, GNOME Shell gives a new id.
func (n *Notifier) answered(name string, call *dbus.Call) ([]event, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.slots[name]
	s.pending = false
	n.pending--
	var id uint32
	err := explain(call.Store(&id))
	switch {
	case err == nil && call.ResponseSequence < n.changed:
		err = fmt.Errorf("%w: it ended", ErrNoAnswer) // the id was worth nothing before it came
	case err == nil:
		s.again = 0
		if id == s.id {
			s.again = call.ResponseSequence
		}
		s.id, s.at = id, call.ResponseSequence
	case isError(call.Err, busName+".Error.ExcessNotificationGeneration") && s.id != 0:
		// Plasma takes no two equal notifications within a second. The first one
		// is shown.
		err = nil
	}
	var events []event
	for _, signal := range n.early {
		if signal.Sender == n.owner {
			events = append(events, n.concerning(signal)...)
		}
	}
	if n.pending == 0 {
		n.early = nil
	}
	return events, err
}

// answerLater waits for the answer to a call that Post has given up on, closes
// what is not wanted any more, and says that the slot can be posted to again.
func (n *Notifier) answerLater(name string, call *dbus.Call) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil {
		return
	}
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		<-call.Done
		events, _ := n.answered(name, call)
		if n.ctx.Err() != nil {
			return
		}
		n.mu.Lock()
		s := n.slots[name]
		dropped, id, owner := s.dropped, s.id, n.owner
		if dropped {
			s.id, s.dropped = 0, false
		}
		n.mu.Unlock()
		if dropped && id != 0 {
			n.object.Go(busName+".CloseNotification", dbus.FlagNoAutoStart|dbus.FlagNoReplyExpected, nil, id)
		}
		n.emit(events...)
		if owner != "" {
			n.emit(event{kind: daemonReady})
		}
	}()
}

func (n *Notifier) capabilities(ctx context.Context) ([]string, error) {
	var capabilities []string
	// A daemon that the bus can start is started by this call.
	call := n.object.CallWithContext(ctx, busName+".GetCapabilities", 0)
	if call.Err == nil {
		if err := call.Store(&capabilities); err != nil {
			return nil, nil
		}
		return capabilities, nil
	}
	err := explain(call.Err)
	var refused dbus.Error
	if errors.As(err, &refused) && !isError(call.Err, "org.freedesktop.DBus.Error.NoReply") {
		// It is there and speaks, but not of this: take it for a plain one.
		return nil, nil
	}
	return nil, err
}

// arguments returns those of Notify.
func arguments(note Notification, replaces uint32, capabilities []string) []any {
	can := func(c string) bool { return slices.Contains(capabilities, c) }
	body := note.Body
	actions := []string{} // not nil: the specification wants an array
	if can("actions") {
		for _, a := range note.Actions {
			actions = append(actions, a.Key, clean(a.Label, maxSummary))
		}
	} else {
		body = plainBody(note)
	}
	body = clean(body, maxBody)
	if can("body-markup") {
		body = escapeMarkup(body)
	}
	hints := map[string]dbus.Variant{
		"urgency":       dbus.MakeVariant(byte(note.Urgency)),
		"desktop-entry": dbus.MakeVariant(desktopEntry),
	}
	// Only ever set to true: xfce4-notifyd looks for "transient", not at its value.
	for hint, set := range map[string]bool{
		"transient":      note.Transient,
		"resident":       note.Resident,
		"suppress-sound": note.Silent,
	} {
		if set {
			hints[hint] = dbus.MakeVariant(true)
		}
	}
	if note.Icon != "" {
		hints["image-path"] = dbus.MakeVariant(iconURI(note.Icon))
	}
	if data, ok := picture(note.Icon); ok {
		hints["image-data"] = dbus.MakeVariant(data) // comes before image-path and the icon's name
	}
	expire := int32(-1)
	switch {
	case note.Urgency == Critical:
		expire = 0 // dunst and mako let even a critical one expire otherwise
	case note.Expire > 0:
		expire = int32(min(note.Expire.Milliseconds(), 1<<31-1))
	}
	return []any{AppName, replaces, iconURI(note.Icon), clean(note.Summary, maxSummary), body, actions, hints, expire}
}

// plainBody is the body for where there are no buttons.
func plainBody(note Notification) string {
	if note.Command == "" {
		return note.Body
	}
	return strings.TrimPrefix(note.Body+"\n"+note.Command, "\n")
}

// clean bounds a text and leaves nothing in it that D-Bus refuses: for one bad byte
// the bus would end the connection.
func clean(s string, most int) string {
	return text.Shorten(strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD"), most)
}

func escapeMarkup(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func iconURI(icon string) string {
	if !filepath.IsAbs(icon) {
		return icon
	}
	return (&url.URL{Scheme: "file", Path: icon}).String()
}

// explain returns ErrNoDaemon or ErrNoAnswer where an error of the bus means that.
func explain(err error) error {
	var refused dbus.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return ErrNoAnswer
	case !errors.As(err, &refused):
		return err
	case refused.Name == "org.freedesktop.DBus.Error.ServiceUnknown",
		refused.Name == "org.freedesktop.DBus.Error.NameHasNoOwner",
		// The bus knows a service, but can't start it.
		refused.Name == "org.freedesktop.DBus.Error.TimedOut",
		strings.HasPrefix(refused.Name, "org.freedesktop.DBus.Error.Spawn."):
		return fmt.Errorf("%w: %s", ErrNoDaemon, refused.Error())
	}
	return err
}

func isError(err error, name string) bool {
	var refused dbus.Error
	return errors.As(err, &refused) && refused.Name == name
}
