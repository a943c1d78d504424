package notify

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
	"immutray.org/notify/notifytest"
	"immutray.org/packaging/testbed/lab"
)

// The reminder against xfce4-notifyd itself, which the bus starts: posted as
// critical with its buttons, replaced and not stacked, closed on lock.
func TestRemindersOnXfce(t *testing.T) {
	services := xfceServices(t)
	display := startXvfb(t)
	home := t.TempDir()
	bus := notifytest.StartBus(t, notifytest.WithServices(services), notifytest.WithEnv(
		"DISPLAY="+display, "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "XDG_RUNTIME_DIR="+home,
		"GSETTINGS_BACKEND=memory", "NO_AT_BRIDGE=1"))
	talk := watch(t, bus)

	n, err := NewNotifier(bus.Connect(t), Options{Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	reminders := &Reminders{
		Notifier: n,
		Clock:    NewBootClock(),
		Settings: Settings{Every: 50 * time.Millisecond, Snooze: time.Hour},
		Failed:   func(err error) { t.Error(err) },
		Icon:     func(helper.State) string { return "dialog-warning" },
	}
	reminders.Update(status(helper.Unlocked, &helper.Window{Since: time.Now().Add(-23 * time.Minute), UID: 1000, User: "rrs"}, both(helper.Unlocked)...))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		reminders.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})

	first := talk.answered("Notify")
	id := first.answer[0]
	if got := first.call[7].(int32); got != 0 {
		t.Errorf("expire_timeout = %d, want 0", got)
	}
	if got := first.call[6].(map[string]dbus.Variant)["urgency"].Value(); got != byte(2) {
		t.Errorf("urgency = %v, want 2", got)
	}
	if got := strings.Join(first.call[5].([]string), "|"); got != "lock|Lock now|snooze|Remind me in 1 hour" {
		t.Errorf("actions = %q", got)
	}
	for range 2 {
		again := talk.answered("Notify")
		if again.call[1] != id || again.answer[0] != id {
			t.Errorf("replaces_id %v got id %v, want %v twice", again.call[1], again.answer[0], id)
		}
	}
	if shot := os.Getenv("NOTIFY_TEST_SCREENSHOT"); shot != "" {
		screenshot(t, display, shot)
	}
	reminders.Update(allLocked)
	if closed := talk.signal("NotificationClosed"); closed[0] != id || closed[1] != uint32(notifytest.ReasonClosed) {
		t.Errorf("NotificationClosed%v, want id %v closed by us", closed, id)
	}
}

// xfceServices returns a directory that describes xfce4-notifyd, and what it needs,
// to a bus. Only these: not whatever else is installed on the machine.
func xfceServices(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{busName, "org.xfce.Xfconf"} {
		found := false
		installed, _ := filepath.Glob("/usr/share/dbus-1/services/*.service")
		for _, file := range installed {
			text, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(text), "Name="+name+"\n") {
				continue
			}
			if name == busName && !strings.Contains(string(text), "xfce4-notifyd") {
				continue
			}
			found = true
			if err := os.WriteFile(filepath.Join(dir, name+".service"), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if !found {
			lab.Unavailable(t, "xfce4-notifyd or xfconf is missing (apt install xfce4-notifyd xfconf)")
		}
	}
	return dir
}

// startXvfb starts a display of its own and returns its name.
func startXvfb(t *testing.T) string {
	t.Helper()
	lab.Require(t, "Xvfb:xvfb")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// A number of our own, far from where a search begins: a server that searches
	// unlinks the sockets of those that it finds in use.
	cmd := exec.Command("Xvfb", ":"+strconv.Itoa(10000+os.Getpid()%40000), "-displayfd", "3", "-screen", "0", "800x400x24", "-nolisten", "tcp", "-extension", "GLX")
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb did not say its display: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}

// screenshot is for looking at what a person sees: NOTIFY_TEST_SCREENSHOT=file.png
func screenshot(t *testing.T, display, file string) {
	t.Helper()
	time.Sleep(2 * time.Second) // for the window to fade in; nothing is asserted
	cmd := exec.Command("import", "-window", "root", file)
	cmd.Env = append(os.Environ(), "DISPLAY="+display)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("cannot take a screenshot: %v: %s", err, out)
	}
}

// A conversation is what a monitor of a bus hears of the notification daemon.
type conversation struct {
	t     *testing.T
	heard chan *dbus.Message
	calls map[uint32]*dbus.Message // by serial
}

// An exchange is a call and its answer.
type exchange struct{ call, answer []any }

func watch(t *testing.T, bus *notifytest.Bus) *conversation {
	t.Helper()
	conn := bus.Connect(t)
	heard := make(chan *dbus.Message, 10000)
	call := conn.BusObject().Call("org.freedesktop.DBus.Monitoring.BecomeMonitor", 0, []string{}, uint32(0))
	if call.Err != nil {
		t.Fatal(call.Err)
	}
	conn.Eavesdrop(heard)
	// godbus panics when a message comes in while Close closes the channel.
	t.Cleanup(func() { conn.Eavesdrop(nil) })
	return &conversation{t: t, heard: heard, calls: map[uint32]*dbus.Message{}}
}

func (c *conversation) next() *dbus.Message {
	c.t.Helper()
	select {
	case msg := <-c.heard:
		return msg
	case <-time.After(60 * time.Second):
		c.t.Fatal("xfce4-notifyd says nothing")
		return nil
	}
}

// answered waits for the next answer to a method of the daemon.
func (c *conversation) answered(method string) exchange {
	c.t.Helper()
	for {
		msg := c.next()
		if msg.Type == dbus.TypeMethodCall && msg.Headers[dbus.FieldMember].Value() == method {
			c.calls[msg.Serial()] = msg
		}
		if msg.Type != dbus.TypeMethodReply {
			continue
		}
		serial, _ := msg.Headers[dbus.FieldReplySerial].Value().(uint32)
		if call := c.calls[serial]; call != nil && call.Headers[dbus.FieldSender].Value() == msg.Headers[dbus.FieldDestination].Value() {
			delete(c.calls, serial)
			return exchange{call.Body, msg.Body}
		}
	}
}

// signal waits for the next signal of the daemon.
func (c *conversation) signal(member string) []any {
	c.t.Helper()
	for {
		msg := c.next()
		if msg.Type == dbus.TypeSignal && msg.Headers[dbus.FieldMember].Value() == member {
			return msg.Body
		}
	}
}
