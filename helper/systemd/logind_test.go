package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// A login stands in for one of logind's sessions; without a class it is gone.
type login struct{ class, state string }

func (l login) GetAll(of string) (map[string]dbus.Variant, *dbus.Error) {
	switch {
	case l.class == "":
		return nil, dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", []any{"Unknown object."})
	case of != logindSession:
		return nil, dbus.MakeFailedError(errors.New("no such interface"))
	}
	return map[string]dbus.Variant{
		"Class": dbus.MakeVariant(l.class),
		"State": dbus.MakeVariant(l.state),
		"VTNr":  dbus.MakeVariant(uint32(7)),
	}, nil
}

type listedLogin struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// loginManager stands in for org.freedesktop.login1, whose methods are called as
// logind's are.
type loginManager struct{ logins []listedLogin }

func (m loginManager) ListSessions() ([]listedLogin, *dbus.Error) { return m.logins, nil }

func newLogind(t *testing.T, b *bus, logins ...login) {
	t.Helper()
	conn, err := dbus.Connect(b.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var m loginManager
	for i, l := range logins {
		path := dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/login1/session/_3%d", i))
		m.logins = append(m.logins, listedLogin{fmt.Sprint(i), 1000, "rrs", "seat0", path})
		if err := conn.Export(l, path, properties); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Export(m, logindPath, logindManager); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(logindName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("RequestName() = %v, %v", reply, err)
	}
}

func TestPeople(t *testing.T) {
	for _, test := range []struct {
		name   string
		logins []login
		want   int
	}{
		{"nobody", nil, 0},
		{"everywhere", []login{{"user", "active"}, {"user", "online"}, {"user", "opening"}}, 3},
		{"systemd 256", []login{{"user-early", "active"}, {"user-light", "online"}}, 2},
		{"no people", []login{{"greeter", "active"}, {"background", "online"}, {"manager", "active"}, {"manager-early", "active"}, {"lock-screen", "active"}}, 0},
		{"program left behind", []login{{"user", "closing"}, {"greeter", "active"}}, 0},
		{"gone since", []login{{}, {"user", "active"}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBus(t)
			newLogind(t, b, test.logins...)
			if got, err := (Logind{b.address}).People(context.Background()); got != test.want || err != nil {
				t.Errorf("People() = %d, %v, want %d", got, err, test.want)
			}
		})
	}
}

func TestPeopleWithoutLogind(t *testing.T) {
	b := newBus(t)
	_, err := Logind{b.address}.People(context.Background())
	if err == nil || !strings.HasPrefix(err.Error(), "cannot tell who is logged in: The name org.freedesktop.login1 was not provided") {
		t.Errorf("without logind: %v", err)
	}
	if _, err := (Logind{"unix:path=/nowhere"}).People(context.Background()); err == nil || !strings.HasPrefix(err.Error(), "cannot tell who is logged in: ") {
		t.Errorf("without a bus: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	if _, err := (Logind{b.address}).People(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: %v", err)
	}
}
