package systemd

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
)

// A fakeLogind has one session at most, and writes into /run/systemd/sessions as the
// real one does.
type fakeLogind struct {
	b     *booted
	mu    sync.Mutex
	state string // of the session; "" when there is none
}

type listedSession struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

const sessionPath = dbus.ObjectPath("/org/freedesktop/login1/session/_31")

func (l *fakeLogind) ListSessions() ([]listedSession, *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == "" {
		return nil, nil
	}
	return []listedSession{{"1", 1000, "rrs", "seat0", sessionPath}}, nil
}

func (l *fakeLogind) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return map[string]dbus.Variant{"Class": dbus.MakeVariant("user"), "State": dbus.MakeVariant(l.state)}, nil
}

func newFakeLogind(b *booted) *fakeLogind {
	b.t.Helper()
	l := &fakeLogind{b: b}
	conn := b.bus()
	for path, of := range map[dbus.ObjectPath]string{
		"/org/freedesktop/login1": "org.freedesktop.login1.Manager",
		sessionPath:               "org.freedesktop.DBus.Properties",
	} {
		if err := conn.Export(l, path, of); err != nil {
			b.t.Fatal(err)
		}
	}
	if reply, err := conn.RequestName("org.freedesktop.login1", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		b.t.Fatalf("RequestName() = %v, %v", reply, err)
	}
	b.output("mkdir", "-p", "/run/systemd/sessions")
	return l
}

// become changes the session, and waits until the unit has looked at it.
func (l *fakeLogind) become(state string) {
	l.b.t.Helper()
	runs := l.b.runs(onLogout)
	l.mu.Lock()
	l.state = state
	l.mu.Unlock()
	l.b.output("sh", "-c", "echo STATE="+state+" >/run/systemd/sessions/.1 && mv /run/systemd/sessions/.1 /run/systemd/sessions/1")
	l.b.await("a run of "+onLogout, func() bool { return l.b.runs(onLogout) != runs && l.b.rests(onLogout) })
}

// runs returns what is different in every run of a unit.
func (b *booted) runs(unit string) string {
	b.t.Helper()
	return b.output("systemctl", "show", "--property=InvocationID", unit)
}

func (b *booted) rests(unit string) bool {
	b.t.Helper()
	state := b.output("systemctl", "show", "--property=ActiveState", unit)
	return strings.Contains(state, "=inactive") || strings.Contains(state, "=failed")
}

// Under a real systemd: sleep and logout start the units, which lock.
func TestOccasionsUnderSystemd(t *testing.T) {
	b := boot(t)
	b.ask("unlock", "--until-locked")

	b.output("mkdir", "/run/units/sleep.target.wants")
	b.output("ln", "-s", "../"+onSleep, "/run/units/sleep.target.wants/") // as "systemctl enable" does
	b.output("systemctl", "daemon-reload")
	b.output("systemctl", "start", "sleep.target")
	if !b.isLocked() {
		t.Error("it is not locked in sleep")
	}
	b.output("systemctl", "stop", "sleep.target")
	b.ask("unlock", "--until-locked")
	endWriter := b.startWriter()
	begun := time.Now()
	b.output("systemctl", "start", "sleep.target") // it is reached all the same
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("a writer kept the machine awake for %v", took)
	}
	if status := b.output("systemctl", "show", "--property=ExecMainStatus", onSleep); strings.TrimSpace(status) != "ExecMainStatus=3" {
		t.Errorf("with a writer: %s, want %d", status, helper.ExitBlocked)
	}
	b.output("systemctl", "stop", "sleep.target")
	endWriter()

	b.ask("unlock", "--until-locked")
	l := newFakeLogind(b)
	b.output("systemctl", "start", "immutray-logout.path")
	b.await("the first look", func() bool { return b.rests(onLogout) && !strings.HasSuffix(b.runs(onLogout), "=\n") })
	l.become("") // no person was logged in before
	l.become("active")
	if b.isLocked() {
		t.Fatal("it is locked without a logout")
	}
	l.become("closing")
	if !b.isLocked() {
		t.Error("it is not locked after the logout")
	}
	b.ask("unlock", "--until-locked")
	l.become("")
	if b.isLocked() {
		t.Error("it is locked although no person was logged in")
	}
}
