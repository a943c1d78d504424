package tray

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/notify/notifytest"
)

// A bar of Quickshell owns the watcher's name for seconds before it can do anything.
func TestTrayThatIsNotReadyGetsTheIcon(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	p.mu.Lock()
	p.refusing = true
	p.mu.Unlock()
	startChild(t, bus, defaultSettings(), lockedAt)
	p.wait("systray's own registration and one of ours", func() bool { return p.refused >= 2 })
	p.mu.Lock()
	p.refusing = false
	p.mu.Unlock()
	eventually(t, "the tooltip", p.item().tooltip, "Locked")
}

func TestTrayThatDropsTheIconGetsItBack(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	startChild(t, bus, defaultSettings(), lockedAt)
	eventually(t, "the tooltip", p.item().tooltip, "Locked")
	p.forget()
	eventually(t, "the tooltip", p.item().tooltip, "Locked")
}

// An acceptingIcon is a registrant that a tray lists once it is ready.
type acceptingIcon struct {
	mu     sync.Mutex
	ready  bool
	listed bool
	asked  int
}

func (i *acceptingIcon) isRegistered(context.Context) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ready {
		return false, errors.New("it does not answer")
	}
	return i.listed, nil
}

func (i *acceptingIcon) register(context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	if !i.ready {
		return errors.New("it does not answer")
	}
	i.listed = true
	return nil
}

func (i *acceptingIcon) isOwn(item string) bool { return item == ":1.7/StatusNotifierItem" }

func (i *acceptingIcon) timesAsked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func (i *acceptingIcon) isListed() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.listed
}

func (i *acceptingIcon) set(ready, listed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ready, i.listed = ready, listed
}

// A followed tray is a running registration, with a clock that the test moves.
type followed struct {
	t       *testing.T
	clock   *notifytest.Clock
	icon    *acceptingIcon
	present chan bool
	watcher *dbus.Conn
}

func follow(t *testing.T) *followed {
	t.Helper()
	bus := notifytest.StartBus(t)
	f := &followed{
		t: t, clock: notifytest.NewClock(testNow), icon: &acceptingIcon{},
		present: make(chan bool, 16), watcher: bus.Connect(t),
	}
	r := registration{icon: f.icon, clock: f.clock, present: func(p bool) { f.present <- p }, log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	conn := bus.Connect(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.run(ctx, conn); !errors.Is(err, context.Canceled) {
			t.Errorf("run() = %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

func (f *followed) own() {
	f.t.Helper()
	if reply, err := f.watcher.RequestName(watcherName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		f.t.Fatalf("RequestName() = %v, %v", reply, err)
	}
}

// pass waits for a pause to begin, and lets it pass.
func (f *followed) pass(pause time.Duration) {
	f.t.Helper()
	f.clock.Await(f.t, pause)
	f.clock.Advance(pause)
}

func (f *followed) expect(want bool) {
	f.t.Helper()
	select {
	case got := <-f.present:
		if got != want {
			f.t.Fatalf("present is %v, want %v", got, want)
		}
	case <-time.After(timeout):
		f.t.Fatalf("present was not called with %v", want)
	}
}

func TestTrayThatNeverAnswersCountsAsNone(t *testing.T) {
	f := follow(t)
	f.expect(false)
	f.own()
	for _, pause := range pauses() {
		f.pass(pause)
	}
	eventually(t, "the number of registrations", f.icon.timesAsked, len(pauses()))
	f.clock.AwaitNone(t)
	if len(f.present) != 0 {
		t.Errorf("present is %v", <-f.present)
	}

	// Something begins to show what the watcher keeps.
	f.icon.set(true, false)
	if err := f.watcher.Emit(watcherPath, watcherName+".StatusNotifierHostRegistered"); err != nil {
		t.Fatal(err)
	}
	f.pass(pauses()[0])
	f.expect(true)
}

func TestTrayThatAnswersAfterSeconds(t *testing.T) {
	f := follow(t)
	f.expect(false)
	f.own()
	waited := time.Duration(0)
	for _, pause := range pauses() {
		f.clock.Await(t, pause)
		waited += pause
		f.icon.set(waited >= 8*time.Second, false)
		f.clock.Advance(pause)
		if waited >= 8*time.Second {
			break
		}
	}
	f.expect(true)
	f.clock.AwaitNone(t)

	// The icon of another program is no news; the loss of ours is.
	for _, item := range []string{":1.8/StatusNotifierItem", ":1.7/StatusNotifierItem"} {
		f.clock.AwaitNone(t)
		f.icon.set(true, false)
		if err := f.watcher.Emit(watcherPath, watcherName+".StatusNotifierItemUnregistered", item); err != nil {
			t.Fatal(err)
		}
	}
	f.pass(pauses()[0])
	eventually(t, "whether the icon is listed", f.icon.isListed, true)
}

func TestPausesLastTwoMinutes(t *testing.T) {
	sum := time.Duration(0)
	for _, pause := range pauses() {
		sum += pause
	}
	if sum < 2*time.Minute || sum > 150*time.Second {
		t.Errorf("the pauses last %v", sum)
	}
}

func TestPanelThatRestartsGetsTheIconBack(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), lockedAt)
	eventually(t, "the tooltip", p.item().tooltip, "Locked")
	p.stop()
	c.set(unlockedNow())
	p = startPanel(t, bus)
	item := p.item()
	eventually(t, "the tooltip", item.tooltip, "Unlocked for less than 1 min by rrs")
	if err := item.activate(); err != nil {
		t.Fatal(err)
	}
	c.expect("do lock")
}

// systray does not see a tray that comes while it is about to listen for one.
func TestTrayThatSystrayMissesGetsTheIcon(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	p.mu.Lock()
	p.misses = 1
	p.mu.Unlock()
	startChild(t, bus, defaultSettings(), lockedAt)
	eventually(t, "the tooltip", p.item().tooltip, "Locked")
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.registered) != 1 {
		t.Errorf("registered are %q, want one", p.registered)
	}
}
