package tray

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper/client"
	"immutray.org/notify/notifytest"
)

// A fakeManager plays systemd on a bus. Like systemd, it refuses a message that does not
// allow it to ask for a password, and sends the ends of jobs only to subscribers.
type fakeManager struct {
	conn *dbus.Conn
	ends chan struct{} // ends the calls of "hangs.service" and the job of "slow.service"

	mu         sync.Mutex
	subscribed bool
	asked      []string // units, in order
}

func startManager(t *testing.T, bus *notifytest.Bus) *fakeManager {
	t.Helper()
	m := &fakeManager{conn: bus.Connect(t), ends: make(chan struct{})}
	t.Cleanup(func() { close(m.ends) })
	if err := m.conn.Export(managerMethods{m}, systemdPath, systemdManager); err != nil {
		t.Fatal(err)
	}
	if _, err := m.conn.RequestName(systemdName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *fakeManager) units() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked)
}

type managerMethods struct{ m *fakeManager }

func (f managerMethods) Subscribe() *dbus.Error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.subscribed = true
	return nil
}

func (f managerMethods) TryRestartUnit(message dbus.Message, unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	f.m.mu.Lock()
	f.m.asked = append(f.m.asked, unit)
	job := dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/systemd1/job/%d", len(f.m.asked)))
	subscribed := f.m.subscribed
	f.m.mu.Unlock()
	result := "done"
	switch {
	case mode != "replace":
		return "", dbus.MakeFailedError(errors.New("the mode is " + mode))
	case message.Flags&dbus.FlagAllowInteractiveAuthorization == 0, unit == "nobody-asks.service":
		return "", dbus.NewError("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", []any{"Interactive authentication required."})
	case unit == "denied.service":
		return "", dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"Permission denied"})
	case unit == "gone.service":
		return "", dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"Unit gone.service not found."})
	case unit == "hangs.service":
		<-f.m.ends
		return "", dbus.MakeFailedError(errors.New("too late"))
	case unit == "slow.service":
		return job, nil
	case unit == "broken.service":
		result = "failed"
	}
	if subscribed {
		// Other jobs end too, and this one maybe before its caller knows of it.
		f.m.conn.Emit(systemdPath, systemdManager+".JobRemoved", uint32(4711), dbus.ObjectPath("/org/freedesktop/systemd1/job/4711"), "other.service", "failed")
		f.m.conn.Emit(systemdPath, systemdManager+".JobRemoved", uint32(1), job, unit, result)
	}
	return job, nil
}

func TestSystemdRestartsServices(t *testing.T) {
	bus := notifytest.StartBus(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
	ctx := context.Background()
	if err := (services{}).Restart(ctx, []string{"cups.service"}); err == nil || !strings.HasPrefix(err.Error(), "cannot ask systemd: ") {
		t.Errorf("without systemd: %v", err)
	}
	m := startManager(t, bus)
	const never, always = time.Nanosecond, time.Hour
	for name, test := range map[string]struct {
		limits services
		units  []string
		asked  []string // nil: all, in order
		want   string
		is     error
	}{
		"all":         {services{}, []string{"cups.service", "NetworkManager.service"}, nil, "", nil},
		"polkit last": {services{}, []string{"polkit.service", "cups.service"}, []string{"cups.service", "polkit.service"}, "", nil},
		"dismissed": {services{read: never}, []string{"denied.service", "cups.service"}, []string{"denied.service"},
			"cannot restart denied.service: the password prompt was cancelled", client.ErrCancelled},
		"dismissed at once": {services{read: always}, []string{"denied.service", "cups.service"}, []string{"denied.service"},
			"cannot restart denied.service: the password prompt could not be shown", client.ErrNoDialog},
		"nobody can ask": {services{}, []string{"nobody-asks.service", "cups.service"}, []string{"nobody-asks.service"},
			"cannot restart nobody-asks.service: there is no program here that can ask for the password", errNoAgent},
		"a prompt that is left alone": {services{prompt: time.Millisecond}, []string{"hangs.service", "cups.service"}, []string{"hangs.service"},
			"cannot restart hangs.service: no answer in time", errNoAnswer},
		"a service that hangs": {services{jobs: time.Millisecond}, []string{"slow.service"}, nil,
			"cannot restart slow.service: no answer in time", errNoAnswer},
		"gone": {services{}, []string{"gone.service", "cups.service"}, nil,
			"cannot restart gone.service: Unit gone.service not found.", nil},
		"down": {services{}, []string{"broken.service", "cups.service"}, nil,
			`cannot restart broken.service: systemd reports "failed"`, nil},
		"down, and dismissed": {services{read: never}, []string{"broken.service", "denied.service"}, nil,
			`cannot restart broken.service: systemd reports "failed" (and 1 more)`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(m.units())
			err := test.limits.Restart(ctx, test.units)
			if fmt.Sprint(err) != test.want && (err != nil || test.want != "") {
				t.Errorf("Restart() = %v, want %q", err, test.want)
			}
			if test.is != nil && !errors.Is(err, test.is) || test.is == nil && errors.Is(err, client.ErrCancelled) {
				t.Errorf("Restart() = %v, want %v", err, test.is)
			}
			want := test.asked
			if want == nil {
				want = test.units
			}
			if got := m.units()[before:]; !slices.Equal(got, want) {
				t.Errorf("systemd was asked for %q, want %q", got, want)
			}
		})
	}
}

func TestRestartEndsWithItsContext(t *testing.T) {
	bus := notifytest.StartBus(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
	m := startManager(t, bus)
	for _, unit := range []string{"hangs.service", "slow.service"} {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- services{}.Restart(ctx, []string{unit}) }()
		eventually(t, "the unit asked for", func() bool { return slices.Contains(m.units(), unit) }, true)
		cancel()
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("Restart(%s) = nil", unit)
			}
		case <-time.After(timeout):
			t.Fatalf("Restart(%s) does not end", unit)
		}
	}
}

// The whole applet: what is chosen in the menu is what systemd is asked for.
func TestRestartThemFromTheMenu(t *testing.T) {
	t.Parallel()
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	m := startManager(t, bus)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), leftBehind(unlockedNow(), "cups.service", "gdm.service", "broken.service"))
	item := p.item()
	eventually(t, "the menu", func() bool {
		return strings.Contains(item.text(), "(3 services still see it read-only)\nRestart 2 of them…\n(Start again gdm.service.)\n")
	}, true)
	item.choose("Restart 2 of them…")
	post := server.WaitForPosts(1)
	if post.Summary != "Restarting failed" || !strings.Contains(post.Body, "Cannot restart broken.service") {
		t.Errorf("the notification is %+v", post)
	}
	if got, want := m.units(), []string{"cups.service", "broken.service"}; !slices.Equal(got, want) {
		t.Errorf("systemd was asked for %q, want %q", got, want)
	}
	c.set(unlockedNow())
	eventually(t, "the entry", func() bool { return strings.Contains(item.text(), "read-only)\n") }, false)
}

func TestRestartOnASilentBus(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+socket)
	ended := make(chan error, 1)
	go func() {
		ended <- services{bus: 50 * time.Millisecond}.Restart(context.Background(), []string{"cups.service"})
	}()
	select {
	case err := <-ended:
		if err == nil || !strings.HasPrefix(err.Error(), "cannot reach the system bus: ") {
			t.Errorf("Restart() = %v", err)
		}
	case <-time.After(timeout):
		t.Error("Restart does not end")
	}
}
