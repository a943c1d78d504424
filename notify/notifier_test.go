package notify

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/notify/notifytest"
)

// newNotifier returns a Notifier on the test's bus, and the events it has.
func newNotifier(t *testing.T, bus *notifytest.Bus, options Options) (*Notifier, chan event) {
	t.Helper()
	n, err := NewNotifier(bus.Connect(t), options)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan event, 100)
	forget := n.listen(func(e event) { events <- e })
	t.Cleanup(func() {
		forget()
		n.Stop()
		checkNoGoroutines(t)
	})
	return n, events
}

// receive waits for a value.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("waited 30 s for nothing")
		panic("unreachable")
	}
}

func mustPost(t *testing.T, n *Notifier, slot string, note Notification) {
	t.Helper()
	if err := n.Post(context.Background(), slot, note); err != nil {
		t.Fatal(err)
	}
}

var critical = Notification{
	Summary:  "S & <s>",
	Body:     "a < b & c > d",
	Urgency:  Critical,
	Icon:     "immutray-unlocked",
	Actions:  []Action{{"lock", "Lock now"}, {"snooze", "Later"}},
	Command:  "run: <it>",
	Resident: true,
}

func TestActions(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	type press struct{ slot, action string }
	pressed := make(chan press, 10)
	n, events := newNotifier(t, bus, Options{OnAction: func(slot, action string) { pressed <- press{slot, action} }})
	mustPost(t, n, "a", critical)
	mustPost(t, n, "b", critical)
	server.InvokeAction(2, "lock")
	if e := receive(t, events); e != (event{actionInvoked, "b", "lock"}) {
		t.Errorf("event %+v", e)
	}
	if p := receive(t, pressed); p != (press{"b", "lock"}) {
		t.Errorf("OnAction(%q, %q)", p.slot, p.action)
	}
	// Most daemons close it with the button.
	if e := receive(t, events); e != (event{kind: closedByOther, slot: "b"}) {
		t.Errorf("event %+v", e)
	}
}

func TestSignalsOfOthersAreIgnored(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, events := newNotifier(t, bus, Options{})
	mustPost(t, n, "slot", critical)

	// Another program of the session that is not the daemon.
	forger := bus.Connect(t)
	for _, signal := range []struct {
		member string
		value  any
	}{{"ActionInvoked", "lock"}, {"NotificationClosed", uint32(2)}} {
		if err := forger.Emit(objectPath, busName+"."+signal.member, uint32(1), signal.value); err != nil {
			t.Fatal(err)
		}
		msg := &dbus.Signal{Sender: forger.Names()[0], Name: busName + "." + signal.member, Body: []any{uint32(1), signal.value}, Sequence: 1 << 40}
		if got := n.handle(msg); got != nil {
			t.Errorf("a forged %s was taken for %+v", signal.member, got)
		}
	}
	// The daemon, about another program's notification, and in a strange form.
	server.Emit("ActionInvoked", uint32(2), "lock")
	server.Emit("NotificationClosed", uint32(2), uint32(2))
	server.Emit("NotificationClosed", uint32(0), uint32(2))
	server.Emit("ActionInvoked", uint32(1), uint32(5))
	server.Emit("ActionInvoked", "1", "lock")
	server.Emit("ActionInvoked", uint32(1))
	server.Emit("ActionInvoked", uint32(1), "last")
	if e := receive(t, events); e.action != "last" {
		t.Errorf("event %+v, want only the last", e)
	}
}

func TestStaleSignalDoesNotCloseWhatReplacedIt(t *testing.T) {
	bus := notifytest.StartBus(t)
	notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	mustPost(t, n, "slot", critical)
	mustPost(t, n, "slot", critical) // in its place, under the same id
	n.mu.Lock()
	s := *n.slots["slot"]
	owner := n.owner
	n.mu.Unlock()
	before := func(member string, value any) *dbus.Signal {
		return &dbus.Signal{Sender: owner, Name: busName + "." + member, Body: []any{s.id, value}, Sequence: s.at - 1}
	}
	if got := n.handle(before("NotificationClosed", uint32(2))); got != nil || !n.Shows("slot") {
		t.Errorf("a closing older than the answer gave %+v", got)
	}
	if got := n.handle(before("ActionInvoked", "lock")); len(got) != 1 {
		t.Errorf("a button pressed before the answer gave %+v, want it to count", got)
	}
}

// A daemon may send signals about a notification before it returns its id, or before we have
// read that.
func TestSignalBeforeTheIDIsKnown(t *testing.T) {
	bus := notifytest.StartBus(t)
	notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	n.mu.Lock()
	n.slots["slot"] = &slot{pending: true}
	n.pending = 1
	closed := &dbus.Signal{Sender: n.owner, Name: busName + ".NotificationClosed", Body: []any{uint32(9), uint32(2)}, Sequence: 1 << 40}
	n.mu.Unlock()
	if got := n.handle(closed); got != nil {
		t.Fatalf("handle() = %+v", got)
	}
	answer := &dbus.Call{Body: []any{uint32(9)}, ResponseSequence: 1<<40 + 1}
	told, err := n.answered("slot", answer)
	if err != nil || len(told) != 1 || told[0] != (event{kind: closedByOther, slot: "slot"}) || n.Shows("slot") {
		t.Errorf("answered() = %+v, %v, want the closing", told, err)
	}
}

func TestDaemonRestartForgetsIDs(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, events := newNotifier(t, bus, Options{})
	mustPost(t, n, "a", critical)
	mustPost(t, n, "b", critical)
	server.Restart()
	for _, want := range []eventKind{daemonGone, daemonReady} {
		if e := receive(t, events); e.kind != want {
			t.Fatalf("event %+v, want %v", e, want)
		}
	}
	if n.Shows("a") || n.Shows("b") {
		t.Error("ids outlived the daemon that gave them")
	}
	// Id 1 is another program's now: it must be neither replaced nor closed.
	stranger := bus.Connect(t)
	other := stranger.Object(busName, objectPath).Call(busName+".Notify", 0, "other", uint32(0), "", "s", "b", []string{}, map[string]dbus.Variant{}, int32(-1))
	if other.Err != nil {
		t.Fatal(other.Err)
	}
	if err := n.Close(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	mustPost(t, n, "a", critical)
	if open := server.WaitForOpen(2); open[0].AppName != "other" || open[1].Replaces != 0 {
		t.Errorf("on the screen: %+v", open)
	}
}

func TestAnswerOfADaemonThatEnded(t *testing.T) {
	bus := notifytest.StartBus(t)
	notifytest.StartServer(t, bus)
	n, _ := newNotifier(t, bus, Options{})
	n.mu.Lock()
	n.slots["slot"] = &slot{pending: true}
	n.pending, n.changed = 1, 1<<40
	n.mu.Unlock()
	if _, err := n.answered("slot", &dbus.Call{Body: []any{uint32(9)}, ResponseSequence: 5}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("error %v, want ErrNoAnswer", err)
	}
	if n.Shows("slot") {
		t.Error("the id of a daemon that ended was kept")
	}
}
