package notify

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/godbus/dbus/v5"

	"immutray.org/notify/notifytest"
)

func TestFallbackIsAsked(t *testing.T) {
	bus := notifytest.StartBus(t)
	broken := errors.New("no screen")
	var got Notification
	var fails error
	n, _ := newNotifier(t, bus, Options{Fallback: func(note Notification) error {
		got = note
		return fails
	}})
	mustPost(t, n, "slot", critical)
	if got.Summary != critical.Summary || n.Shows("slot") {
		t.Errorf("the fallback got %+v, Shows() = %v", got, n.Shows("slot"))
	}
	fails = broken
	if err := n.Post(context.Background(), "slot", critical); !errors.Is(err, ErrNoDaemon) || !errors.Is(err, broken) {
		t.Errorf("Post() = %v, want both causes", err)
	}
}

func TestFallbackIsNotAskedOfADaemonThatFails(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	server.SetError("Notify", "org.freedesktop.DBus.Error.Failed")
	n, _ := newNotifier(t, bus, Options{Fallback: func(Notification) error {
		t.Error("the fallback was asked")
		return nil
	}})
	if err := n.Post(context.Background(), "slot", critical); err == nil || errors.Is(err, ErrNoDaemon) {
		t.Errorf("Post() = %v", err)
	}
}

func TestFallbackThatHangs(t *testing.T) {
	bus := notifytest.StartBus(t)
	asked, goOn := make(chan struct{}), make(chan struct{})
	var p manualTimeout
	n, _ := newNotifier(t, bus, Options{bound: p.bound, Fallback: func(Notification) error {
		asked <- struct{}{}
		<-goOn
		return nil
	}})
	done := make(chan error)
	go func() { done <- n.Post(context.Background(), "slot", critical) }()
	<-asked
	p.runOut()
	if err := <-done; !errors.Is(err, ErrNoDaemon) {
		t.Errorf("Post() = %v, want ErrNoDaemon", err)
	}
	// It is not asked a second time before it has come back.
	if err := n.Post(context.Background(), "slot", critical); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("Post() = %v, want ErrNoDaemon", err)
	}
	close(goOn)
}

// Before v0.11.2 beeep closed the session connection that the whole process shares,
// and with it the tray's.
func TestBeeepLeavesTheSharedConnectionOpen(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", bus.Address)
	conn, err := dbus.SessionBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) // the next test has another bus
	show := Beeep()
	for n := range 2 {
		if err := show(Notification{Summary: "Locked", Body: "body", Command: "run: it"}); err != nil {
			t.Fatal(err)
		}
		if post := server.WaitForPosts(n + 1); post.AppName != "Immutray" || post.Summary != "Locked" || post.Body != "body\nrun: it" {
			t.Errorf("beeep posted %+v", post)
		}
		if !conn.Connected() {
			t.Fatal("beeep closed the shared session connection")
		}
		if again, err := dbus.SessionBus(); err != nil || again != conn {
			t.Fatalf("dbus.SessionBus() = %p, %v, want the same %p", again, err, conn)
		}
	}
}

// With no service on the bus beeep turns to programs; with none of those it fails,
// and says so.
func TestBeeepWithoutADaemon(t *testing.T) {
	bus := notifytest.StartBus(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", bus.Address)
	programs := t.TempDir()
	t.Setenv("PATH", programs)
	conn, err := dbus.SessionBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })

	n, _ := newNotifier(t, bus, Options{Fallback: Beeep()})
	if err := n.Post(context.Background(), "slot", critical); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("Post() = %v, want ErrNoDaemon", err)
	}

	said := filepath.Join(programs, "said")
	script := "#!/bin/sh\nprintf '%s|' \"$@\" >" + said + "\n"
	if err := os.WriteFile(filepath.Join(programs, "kdialog"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	mustPost(t, n, "slot", critical)
	got, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	if want := "--title|S & <s>|--passivepopup|a < b & c > d\nrun: <it>|5|--icon|immutray-unlocked|"; string(got) != want {
		t.Errorf("kdialog was called with %q, want %q", got, want)
	}
	if !conn.Connected() {
		t.Error("beeep closed the shared session connection")
	}
}
