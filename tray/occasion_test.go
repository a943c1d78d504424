package tray

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
	"immutray.org/notify/notifytest"
)

// lockingOn is a report of a system whose configuration has that in relock_on.
func lockingOn(r report, on ...helper.Occasion) report {
	r.RelockOn = on
	return r
}

func TestLocksWithTheScreen(t *testing.T) {
	s := newStage(t, defaultSettings(), lockingOn(unlockedAt, helper.ScreenLock))
	s.clearLog()
	s.c.ScreenLocked()
	s.waitLog("may lock?", "do lock")
	s.c.ScreenLocked() // logind says it twice
	s.answer(done(helper.Lock), lockingOn(lockedAt, helper.ScreenLock))
	s.waitLog("may lock?", "do lock", "remind locked", "feedback: Locked | The operating system is read-only.")
	s.c.ScreenLocked()
	s.expectLog("may lock?", "do lock", "remind locked", "feedback: Locked | The operating system is read-only.")
}

func TestDoesNotLockWithTheScreenUnlessAsked(t *testing.T) {
	for name, report := range map[string]report{
		"off":         lockingOn(unlockedAt, helper.Sleep, helper.Logout),
		"locked":      lockingOn(lockedAt, helper.ScreenLock),
		"unknown":     lockingOn(report{Status: helper.Status{State: helper.Unknown}}, helper.ScreenLock),
		"not set up":  lockingOn(report{Status: helper.Status{State: helper.Unlocked}, NotReady: []string{"why"}}, helper.ScreenLock),
		"off at once": unlockedAt,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, defaultSettings(), report)
			s.clearLog()
			s.c.ScreenLocked()
			s.expectLog()
		})
	}
}

// No password is ever asked for without a click.
func TestNeverAsksForAPasswordBehindALockedScreen(t *testing.T) {
	s := newStage(t, defaultSettings(), lockingOn(partlyAt, helper.ScreenLock))
	s.clearLog()
	s.mayNot = errNeedsPassword
	s.c.ScreenLocked()
	s.waitLog("may lock?", "obstacle: Locking failed | Cannot lock automatically: locking needs a password here.")
}

// While the password dialog is open, a lock can't be asked for.
func TestScreenLockedDuringARequest(t *testing.T) {
	s := newStage(t, defaultSettings(), lockingOn(partlyAt, helper.ScreenLock))
	s.clearLog()
	s.c.LockNow()
	s.waitLog("do lock")
	s.c.ScreenLocked()
	s.expectLog("do lock")
	s.answer(reply{Cancelled: true}, lockingOn(partlyAt, helper.ScreenLock))
}

func TestLocksOnLogout(t *testing.T) {
	for name, test := range map[string]struct {
		report report
		mayNot error
		want   []string
	}{
		"unlocked":       {lockingOn(unlockedAt, helper.Logout), nil, []string{"may lock?", "do lock"}},
		"partly locked":  {lockingOn(partlyAt, helper.Sleep, helper.Logout), nil, []string{"may lock?", "do lock"}},
		"too late":       {lockingOn(unlockedAt, helper.Logout), errNeedsPassword, []string{"may lock?"}},
		"locked":         {lockingOn(lockedAt, helper.Logout), nil, nil},
		"off":            {lockingOn(unlockedAt, helper.ScreenLock), nil, nil},
		"nothing is set": {unlockedAt, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, defaultSettings(), test.report)
			s.clearLog()
			s.mayNot = test.mayNot
			s.end()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				s.c.lockOnLogout()
			}()
			if slices.Contains(test.want, "do lock") {
				s.answer(outcome(helper.Lock, helper.Blocked, "cannot lock: why"), test.report)
			}
			<-ended
			s.waitLog(test.want...)
		})
	}
}

// screens stand in for logind and polkit: sessions by path, with the user of each.
type screens struct {
	conn       *dbus.Conn
	users      map[dbus.ObjectPath]uint32
	authorized atomic.Bool
	asked      chan string          // what polkit was asked
	looked     chan dbus.ObjectPath // whose sessions were looked at
}

const ownSession, ownSecond, otherSession = logindSessions + "/_31", logindSessions + "/_32", logindSessions + "/c2"

func startScreens(t *testing.T, bus *notifytest.Bus, own uint32) *screens {
	t.Helper()
	s := &screens{conn: bus.Connect(t), users: map[dbus.ObjectPath]uint32{ownSession: own, ownSecond: own, otherSession: own + 1}, asked: make(chan string, 16), looked: make(chan dbus.ObjectPath, 1024)}
	s.authorized.Store(true)
	for path, uid := range s.users {
		if err := s.conn.Export(sessionProperties{s, uid, path}, path, properties); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.conn.Export(authority{s}, "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{logindName, "org.freedesktop.PolicyKit1"} {
		if reply, err := s.conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
			t.Fatalf("RequestName(%s) = %v, %v", name, reply, err)
		}
	}
	return s
}

type sessionUser struct {
	UID  uint32
	Path dbus.ObjectPath
}

type sessionProperties struct {
	s    *screens
	uid  uint32
	path dbus.ObjectPath
}

func (p sessionProperties) Get(of, name string) (dbus.Variant, *dbus.Error) {
	if of != logindSession || name != "User" {
		return dbus.Variant{}, dbus.MakeFailedError(errors.New("no such property"))
	}
	p.s.looked <- p.path
	return dbus.MakeVariant(sessionUser{p.uid, "/org/freedesktop/login1/user/_" + p.path[len(p.path)-1:]}), nil
}

type authority struct{ s *screens }

type polkitSubject struct {
	Kind    string
	Details map[string]dbus.Variant
}

type polkitAnswer struct {
	Authorized, Challenge bool
	Details               map[string]string
}

func (a authority) CheckAuthorization(subject polkitSubject, action string, details map[string]string, flags uint32, _ string, sender dbus.Sender) (polkitAnswer, *dbus.Error) {
	name, _ := subject.Details["name"].Value().(string)
	switch {
	case subject.Kind != "system-bus-name" || name != string(sender):
		return polkitAnswer{}, dbus.NewError("org.freedesktop.PolicyKit1.Error.NotAuthorized", []any{"Only trusted callers"})
	case len(details) > 0 || flags != 0: // a flag would have it ask for the password
		return polkitAnswer{}, dbus.MakeFailedError(errors.New("details or flags"))
	}
	a.s.asked <- action
	yes := a.s.authorized.Load()
	return polkitAnswer{Authorized: yes, Challenge: !yes, Details: map[string]string{}}, nil
}

func (s *screens) lock(session dbus.ObjectPath)   { s.conn.Emit(session, logindSession+".Lock") }
func (s *screens) unlock(session dbus.ObjectPath) { s.conn.Emit(session, logindSession+".Unlock") }
func (s *screens) hint(session dbus.ObjectPath, locked bool) {
	s.changed(session, logindSession, map[string]dbus.Variant{"LockedHint": dbus.MakeVariant(locked)})
}
func (s *screens) changed(session dbus.ObjectPath, of string, changed map[string]dbus.Variant) {
	s.conn.Emit(session, properties+".PropertiesChanged", of, changed, []string{})
}

// awaitListener waits until watchScreen listens: a bus keeps no signals.
func (s *screens) awaitListener(t *testing.T) {
	t.Helper()
	giveUp := time.After(timeout)
	for {
		s.hint(otherSession, true)
		select {
		case <-s.looked:
			return
		case <-time.After(20 * time.Millisecond):
		case <-giveUp:
			t.Fatal("watchScreen does not listen")
		}
	}
}

func TestWatchScreen(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	s := startScreens(t, bus, 1000)
	conn := bus.Connect(t)
	ctx, cancel := context.WithCancel(context.Background())
	locked, ended := make(chan struct{}, 1024), make(chan error, 1)
	go func() { ended <- watchScreen(ctx, conn, 1000, func() { locked <- struct{}{} }) }()
	await := func(what string) {
		t.Helper()
		select {
		case <-locked:
		case <-time.After(timeout):
			t.Fatalf("nothing was said of %s", what)
		}
	}
	s.awaitListener(t)
	s.hint(ownSession, false)
	s.unlock(ownSession)
	s.lock(otherSession)
	s.hint(otherSession, true)
	s.lock(logindSessions + "/gone")
	s.lock("/somewhere/else")
	s.changed(ownSession, logindSession, map[string]dbus.Variant{"IdleHint": dbus.MakeVariant(true)})
	s.changed(ownSession, "org.freedesktop.login1.User", map[string]dbus.Variant{"LockedHint": dbus.MakeVariant(true)})
	s.conn.Emit(ownSession, properties+".PropertiesChanged", logindSession, "not what it should be")
	s.hint(ownSecond, true)
	for session := range s.looked { // one after the other
		if session == ownSecond {
			break
		}
	}
	await("the hint")
	if n := len(locked); n > 0 {
		t.Errorf("locked was called %d times for other signals", n)
	}
	s.lock(ownSession)
	await("the wish")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watchScreen() = %v", err)
	}
}

func TestWatchScreenEndsWithTheBus(t *testing.T) {
	t.Parallel()
	conn := notifytest.StartBus(t).Connect(t)
	conn.Close()
	if err := watchScreen(context.Background(), conn, 0, func() {}); err == nil {
		t.Error("watchScreen() on a closed connection = nil")
	}
}

func TestMayLock(t *testing.T) {
	bus := notifytest.StartBus(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
	if err := mayLock(context.Background()); err == nil || errors.Is(err, errNeedsPassword) {
		t.Errorf("without polkit: %v", err)
	}
	s := startScreens(t, bus, 0)
	if err := mayLock(context.Background()); err != nil {
		t.Fatalf("where polkit says yes: %v", err)
	}
	if action := <-s.asked; action != "org.immutray.lock" {
		t.Errorf("polkit was asked for %s", action)
	}
	s.authorized.Store(false)
	if err := mayLock(context.Background()); err != errNeedsPassword {
		t.Errorf("where polkit wants a password: %v", err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
	if err := mayLock(context.Background()); err == nil {
		t.Error("without a bus: nil")
	}
}

// The whole applet, with logind and polkit on a bus.
func TestAppletLocksWithTheScreen(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	s := startScreens(t, bus, uint32(os.Getuid()))
	c := startChild(t, bus, defaultSettings(), lockingOn(unlockedNow(), helper.ScreenLock))
	p.item()
	s.awaitListener(t)
	s.lock(ownSession)
	s.hint(ownSession, true)
	c.expect("do lock")
	c.set(lockedAt)
	c.answer(done(helper.Lock))
}

// Told to end, as by a desktop at logout, the applet locks first.
func TestAppletLocksOnLogout(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	startScreens(t, bus, uint32(os.Getuid()))
	c := startChild(t, bus, defaultSettings(), lockingOn(unlockedNow(), helper.Logout))
	p.item()
	if err := c.terminate(); err != nil {
		t.Fatal(err)
	}
	c.expect("do lock")
	c.answer(done(helper.Lock))
	if code := c.waitEnd(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// A person who chooses Quit has not logged out.
func TestQuitIsNoLogout(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	p := startPanel(t, bus)
	s := startScreens(t, bus, uint32(os.Getuid()))
	c := startChild(t, bus, defaultSettings(), lockingOn(unlockedNow(), helper.Logout))
	p.item().choose("Quit")
	c.waitEnd()
	if n := len(s.asked); n > 0 {
		t.Errorf("polkit was asked %d times", n)
	}
}
