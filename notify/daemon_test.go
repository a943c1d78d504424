package notify

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"immutray.org/notify/notifytest"
)

// hungPost posts to a daemon that hangs in a method, until the timeout.
func hungPost(t *testing.T, n *Notifier, p *manualTimeout, server *notifytest.Server, method string) error {
	t.Helper()
	calls := server.State().Calls[method]
	done := make(chan error)
	go func() { done <- n.Post(context.Background(), "slot", critical) }()
	server.WaitFor("a call of "+method, func(s notifytest.State) bool { return s.Calls[method] > calls })
	p.runOut()
	return <-done
}

func TestHungDaemon(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	var p manualTimeout
	n, events := newNotifier(t, bus, Options{bound: p.bound})
	server.Hang(true)
	for range 3 {
		if err := hungPost(t, n, &p, server, "GetCapabilities"); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("Post() = %v, want ErrNoAnswer", err)
		}
	}
	server.Hang(false)
	mustPost(t, n, "slot", critical)
	// It came to, and does not show what was given up.
	server.WaitForPosts(1)
	select {
	case e := <-events:
		t.Errorf("event %+v", e)
	default:
	}
}

// A daemon that hangs between the two calls shows the notification late. Its id is
// not lost.
func TestLateAnswer(t *testing.T) {
	hung := func(t *testing.T) (*notifytest.Server, *Notifier, chan event) {
		bus := notifytest.StartBus(t)
		server := notifytest.StartServer(t, bus)
		server.HangIn("Notify", true)
		var p manualTimeout
		n, events := newNotifier(t, bus, Options{bound: p.bound})
		if err := hungPost(t, n, &p, server, "Notify"); !errors.Is(err, ErrNoAnswer) {
			t.Fatalf("Post() = %v, want ErrNoAnswer", err)
		}
		// No heap for the time after.
		if err := n.Post(context.Background(), "slot", critical); !errors.Is(err, ErrNoAnswer) {
			t.Fatalf("second Post() = %v, want ErrNoAnswer", err)
		}
		return server, n, events
	}
	t.Run("wanted", func(t *testing.T) {
		server, n, events := hung(t)
		server.HangIn("Notify", false)
		if e := receive(t, events); e.kind != daemonReady || !n.Shows("slot") {
			t.Errorf("event %+v, Shows() = %v", e, n.Shows("slot"))
		}
		mustPost(t, n, "slot", critical)
		if post := server.WaitForPosts(2); post.Replaces != 1 {
			t.Errorf("posted %+v, want the late one replaced", post)
		}
	})
	t.Run("closed meanwhile", func(t *testing.T) {
		server, n, events := hung(t)
		if err := n.Close(context.Background(), "slot"); err != nil {
			t.Fatal(err)
		}
		server.HangIn("Notify", false)
		receive(t, events)
		server.WaitFor("the late notification to be closed", func(s notifytest.State) bool {
			return len(s.Posts) == 1 && len(s.Open) == 0
		})
		if n.Shows("slot") {
			t.Error("Shows() = true after the late closing")
		}
	})
	t.Run("daemon ends meanwhile", func(t *testing.T) {
		server, n, events := hung(t)
		server.Restart()
		// Each time that it could have changed, an event says so.
		for n.Post(context.Background(), "slot", critical) != nil {
			receive(t, events)
		}
		server.WaitForPosts(1)
	})
	t.Run("Notifier stopped meanwhile", func(t *testing.T) {
		_, n, _ := hung(t)
		n.Stop()
		checkNoGoroutines(t)
	})
}

// Real time, once: the bound is there without a test's doing.
func TestTimeout(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	server.Hang(true)
	n, _ := newNotifier(t, bus, Options{Timeout: 10 * time.Millisecond})
	if err := n.Post(context.Background(), "slot", critical); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("Post() = %v, want ErrNoAnswer", err)
	}
}

func TestNoDaemon(t *testing.T) {
	bus := notifytest.StartBus(t)
	n, events := newNotifier(t, bus, Options{})
	if err := n.Post(context.Background(), "slot", critical); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("Post() = %v, want ErrNoDaemon", err)
	}
	if err := n.Close(context.Background(), "slot"); err != nil {
		t.Error(err)
	}
	server := notifytest.StartServer(t, bus)
	if e := receive(t, events); e.kind != daemonReady {
		t.Errorf("event %+v, want daemonReady", e)
	}
	mustPost(t, n, "slot", critical)
	server.WaitForOpen(1)
}

// The bus starts a daemon that it knows; the daemon here is this test binary.
func TestDaemonIsActivated(t *testing.T) {
	if os.Getenv("NOTIFY_TEST_DAEMON") != "" {
		serveUntilKilled(t, os.Getenv("DBUS_STARTER_ADDRESS"))
		return
	}
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	services := t.TempDir()
	unit := "[D-BUS Service]\nName=" + busName + "\nExec=" + test + " -test.run=^TestDaemonIsActivated$\n"
	if err := os.WriteFile(filepath.Join(services, "fake.service"), []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	bus := notifytest.StartBus(t, notifytest.WithServices(services), notifytest.WithEnv("NOTIFY_TEST_DAEMON=1"))
	n, events := newNotifier(t, bus, Options{Timeout: 30 * time.Second})
	mustPost(t, n, "slot", critical)
	if e := receive(t, events); e.kind != daemonReady || !n.Shows("slot") {
		t.Errorf("event %+v, Shows() = %v", e, n.Shows("slot"))
	}
}

func serveUntilKilled(t *testing.T, address string) {
	server := notifytest.StartServer(t, &notifytest.Bus{Address: address})
	// The bus ends with the test that started it, and this daemon with the bus.
	<-server.Done()
}

// A service that is known but can't be started is no daemon either.
func TestDaemonThatCannotBeStarted(t *testing.T) {
	services := t.TempDir()
	unit := "[D-BUS Service]\nName=" + busName + "\nExec=/bin/false\n"
	if err := os.WriteFile(filepath.Join(services, "fake.service"), []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	bus := notifytest.StartBus(t, notifytest.WithServices(services))
	n, _ := newNotifier(t, bus, Options{Timeout: 30 * time.Second})
	if err := n.Post(context.Background(), "slot", critical); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("Post() = %v, want ErrNoDaemon", err)
	}
}

func TestBusGone(t *testing.T) {
	bus := notifytest.StartBus(t)
	server := notifytest.StartServer(t, bus)
	n, err := NewNotifier(bus.Connect(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustPost(t, n, "slot", critical)
	server.WaitForOpen(1)
	n.conn.Close()
	if err := n.Post(context.Background(), "slot", critical); err == nil || errors.Is(err, ErrNoDaemon) {
		t.Errorf("Post() = %v on a closed connection", err)
	}
	if err := n.Close(context.Background(), "slot"); err == nil {
		t.Error("Close() = nil on a closed connection")
	}
	n.Stop()
	n.Stop()
	checkNoGoroutines(t)
	if _, err := NewNotifier(n.conn, Options{}); err == nil {
		t.Error("NewNotifier() = nil on a closed connection")
	}
	checkNoGoroutines(t)
}
