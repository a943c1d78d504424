package tray

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/history"
	"immutray.org/notify"
	"immutray.org/notify/notifytest"
)

// systray keeps its state in globals, so every test that puts an icon into a tray
// runs the applet in a process of its own: the test binary, started again. The
// applet in there is complete, but for the system and the helper. Those are played
// by the test, over the child's standard input and output, a line of JSON each.

const childVariable = "IMMUTRAY_TRAY_CHILD"

// timeout is how long a test waits for something before it fails.
const timeout = 30 * time.Second

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "applet":
		os.Exit(childMain(os.Stdin, os.Stdout))
	case "program":
		os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// An order is what the test sends to the child.
type order struct {
	Settings *settings  `json:",omitempty"` // first, and once
	Report   *report    `json:",omitempty"` // this is how the system is
	Answer   *reply     `json:",omitempty"` // the helper answers the request
	File     string     `json:",omitempty"` // instead of Settings: where they are
	Past     playedPast `json:",omitempty"` // with settings
	Theme    theme      `json:",omitempty"` // with settings
}

// A reply is the helper's.
type reply struct {
	Result    *helper.Result `json:",omitempty"`
	Cancelled bool           `json:",omitempty"`
	NoDialog  bool           `json:",omitempty"`
	Failure   string         `json:",omitempty"`
}

func (r reply) err() error {
	switch {
	case r.Cancelled:
		return client.ErrCancelled
	case r.NoDialog:
		return client.ErrNoDialog
	case r.Failure != "":
		return errors.New(r.Failure)
	}
	return r.Result.Err()
}

// childMain is the applet, with a system and a helper that the parent plays.
func childMain(in io.Reader, out io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	orders := json.NewDecoder(bufio.NewReader(in))
	var first, second order
	if err := errors.Join(orders.Decode(&first), orders.Decode(&second)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	played := &playedSystem{report: *second.Report, changed: make(chan struct{}, 1)}
	asked := &playedHelper{out: out, answers: make(chan reply)}
	go func() {
		defer stop() // a parent that is gone ends its child
		for {
			var o order
			if orders.Decode(&o) != nil {
				return
			}
			if o.Report != nil {
				played.set(*o.Report)
			}
			if o.Answer != nil {
				asked.answers <- *o.Answer
			}
		}
	}()
	a := &app{
		system:   played,
		helper:   asked,
		services: services{},
		clock:    notify.NewBootClock(),
		theme:    first.Theme,
		version:  "1.2.3",
		log:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if first.Past != nil {
		a.history = first.Past
	}
	if first.File != "" {
		a.settings = readSettings(first.File)
	} else {
		a.settings.Settings = *first.Settings
	}
	if err := a.run(ctx); err != nil {
		fmt.Fprintln(out, "ended:", err)
		return exitFailed
	}
	return exitDone
}

type playedSystem struct {
	changed chan struct{}
	mu      sync.Mutex
	report  report
	idle    bool // no package manager is running
}

func (p *playedSystem) set(r report) {
	p.mu.Lock()
	p.report = r
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *playedSystem) Read() report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.report
}

func (p *playedSystem) IsBusy(helper.Busy) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.idle
}

func (p *playedSystem) Watch(ctx context.Context, changed func(report)) error {
	for {
		changed(p.Read())
		select {
		case <-p.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

type playedPast []history.Window

func (p playedPast) Read(context.Context, int, helper.Status) (history.Past, error) {
	return history.Past{Windows: p}, nil
}

type playedHelper struct {
	out     io.Writer
	answers chan reply
}

func (p *playedHelper) Do(ctx context.Context, r helper.Request) (*helper.Result, error) {
	fmt.Fprintln(p.out, "do", asked(r))
	select {
	case r := <-p.answers:
		return r.Result, r.err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A child is the applet in its own process, seen from the test.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    *json.Encoder
	lines chan string
	ended chan struct{}
}

func startChild(t *testing.T, bus *notifytest.Bus, settings settings, report report) *child {
	t.Helper()
	return startChildWith(t, bus, order{Settings: &settings}, report)
}

func startChildWith(t *testing.T, bus *notifytest.Bus, first order, report report) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command("/proc/self/exe"), lines: make(chan string, 64), ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childVariable+"=applet", "DBUS_SESSION_BUS_ADDRESS="+bus.Address,
		"DBUS_SYSTEM_BUS_ADDRESS="+bus.Address) // never the machine's
	c.cmd.Stderr = os.Stderr
	if !testing.Verbose() {
		c.cmd.Stderr = nil
	}
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			c.lines <- scanner.Text()
		}
		close(c.lines)
		c.cmd.Wait()
		close(c.ended)
	}()
	t.Cleanup(func() {
		stdin.Close()
		c.waitEnd()
	})
	c.in = json.NewEncoder(stdin)
	c.tell(first)
	c.tell(order{Report: &report})
	return c
}

func (c *child) tell(o order) {
	c.t.Helper()
	if err := c.in.Encode(o); err != nil {
		c.t.Fatalf("cannot tell the applet: %v", err)
	}
}

func (c *child) set(r report)     { c.t.Helper(); c.tell(order{Report: &r}) }
func (c *child) answer(r reply)   { c.t.Helper(); c.tell(order{Answer: &r}) }
func (c *child) terminate() error { return c.cmd.Process.Signal(unix.SIGTERM) }

// expect waits for a line from the child.
func (c *child) expect(want string) {
	c.t.Helper()
	select {
	case got, ok := <-c.lines:
		if got != want {
			c.t.Fatalf("the applet said %q (open: %v), want %q", got, ok, want)
		}
	case <-time.After(timeout):
		c.t.Fatalf("the applet did not say %q", want)
	}
}

// waitEnd waits until the child has ended, and returns its exit code.
func (c *child) waitEnd() int {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(timeout):
		c.cmd.Process.Kill()
		c.t.Error("the applet does not end")
	}
	return c.cmd.ProcessState.ExitCode()
}
