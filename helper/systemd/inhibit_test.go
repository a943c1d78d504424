package systemd

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
)

// A sleep that has begun is waited for: logind lets nothing wait before it is over. What
// goes on longer is a shutdown, where nothing may begin.
func TestInhibitWhileTheMachineGoesOff(t *testing.T) {
	b := newBus(t)
	conn, err := dbus.Connect(b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	i := &going{}
	if err := conn.Export(i, logindPath, logindManager); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(logindName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	i.times.Store(1 << 30)
	if _, err := (Logind{b.address}).Inhibit(t.Context(), "", time.Second); !errors.Is(err, helper.ErrGoingOff) {
		t.Errorf("Inhibit() while the machine goes off = %v", err)
	}
	i.times.Store(2)
	release, err := Logind{b.address}.Inhibit(t.Context(), "", time.Minute)
	if err != nil {
		t.Fatalf("Inhibit() at the end of a sleep = %v", err)
	}
	release()
}

// going stands in for logind while it refuses because something is in progress.
type going struct{ times atomic.Int32 }

func (g *going) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	if g.times.Add(-1) >= 0 {
		return 0, dbus.NewError(inProgress, []any{"it is already running"})
	}
	return dbus.UnixFD(os.Stdin.Fd()), nil
}

// inhibitors stands in for logind as far as it lets shutdown and sleep wait.
type inhibitors struct {
	refused string // a mode that policy does not allow
	asked   chan [4]string
	held    chan pipe // each lock
}

// A pipe is a lock: what was sent, and the end at which its closing is noticed.
type pipe struct{ read, write *os.File }

func (i *inhibitors) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	i.asked <- [4]string{what, who, why, mode}
	if mode == i.refused {
		return 0, dbus.MakeFailedError(errors.New("not allowed"))
	}
	read, write, err := os.Pipe()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	fd := dbus.UnixFD(write.Fd())
	i.held <- pipe{read, write} // it is sent after this returns
	return fd, nil
}

// Shutdown and sleep wait for a command until it has ended; by force, or only a little where
// policy does not allow that.
func TestInhibit(t *testing.T) {
	for _, refused := range []string{"", "block"} {
		b := newBus(t)
		conn, err := dbus.Connect(b.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		i := &inhibitors{refused: refused, asked: make(chan [4]string, 2), held: make(chan pipe, 1)}
		if err := conn.Export(i, logindPath, logindManager); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.RequestName(logindName, dbus.NameFlagDoNotQueue); err != nil {
			t.Fatal(err)
		}
		release, err := Logind{b.address}.Inhibit(t.Context(), "why", 0)
		if err != nil {
			t.Fatal(err)
		}
		want := [4]string{"shutdown:sleep", "Immutray", "why", "block"}
		if got := <-i.asked; got != want {
			t.Errorf("asked for %q, want %q", got, want)
		}
		if refused != "" {
			want[3] = "delay"
			if got := <-i.asked; got != want {
				t.Errorf("asked for %q, want %q", got, want)
			}
		}
		lock := <-i.held
		lock.write.Close() // what was sent is another descriptor
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = lock.read.Read(make([]byte, 1)) // until every copy of the other end is closed
		}()
		select {
		case <-ended:
			t.Error("the lock is not held")
		case <-time.After(100 * time.Millisecond):
		}
		release()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Error("the lock is held after the end of the command")
		}
		b.stop()
		if _, err := (Logind{b.address}).Inhibit(t.Context(), "", time.Minute); err == nil || !strings.HasPrefix(err.Error(), "cannot make shutdown and sleep wait: ") {
			t.Errorf("Inhibit() without a bus = %v", err)
		}
	}
}
