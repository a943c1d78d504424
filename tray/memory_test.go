package tray

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
	"immutray.org/notify/notifytest"
)

// longVariable, set to 1, has the tests that take minutes do all that they can.
const longVariable = "IMMUTRAY_LONG"

// mostGrowth is how much the applet may grow after it has warmed up, in KiB.
const mostGrowth = 1024

// An applet runs for as long as the computer does.
func TestMemoryDoesNotGrow(t *testing.T) {
	if raceDetector {
		withoutRaceDetector(t)
		return
	}
	changes, openings := 1_000, 100
	if os.Getenv(longVariable) == "1" {
		changes, openings = 100_000, 10_000
	}
	bus := notifytest.StartBus(t)
	notifytest.StartServer(t, bus)
	p := startPanel(t, bus)
	c := startChild(t, bus, defaultSettings(), lockedAt)
	s := newShaker(t, c, p.item())

	s.shake(1_000, 100) // until all that it keeps is there
	before := s.pss()
	s.shake(changes, openings)
	after := s.pss()
	t.Logf("%d changes, %d openings: PSS %d KiB, then %d KiB",
		changes, openings, before, after)
	if after-before > mostGrowth {
		t.Errorf("the applet has grown by %d KiB", after-before)
	}
}

// withoutRaceDetector runs the test that calls it in a program of its own, as it is shipped.
func withoutRaceDetector(t *testing.T) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tray.test")
	build := exec.Command("go", "test", "-c", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the test: %v: %s", err, out)
	}
	out, err := exec.Command(program, "-test.v", "-test.run", "^"+t.Name()+"$").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("without the race detector: %v: %s", err, out)
	}
}

// A shaker changes what the applet shows, and opens its menu.
type shaker struct {
	t       *testing.T
	child   *child
	item    *trayItem
	signals chan *dbus.Signal
	states  []report
	next    int
}

func newShaker(t *testing.T, c *child, item *trayItem) *shaker {
	t.Helper()
	s := &shaker{t: t, child: c, item: item, signals: make(chan *dbus.Signal, 1024)}
	blocked := unlockedNow()
	blocked.Status.Overdue = &helper.Overdue{Outcome: helper.Blocked, Error: "cannot lock: busy"}
	for i := range 200 {
		blocked.Status.Overdue.Writers = append(blocked.Status.Overdue.Writers,
			helper.Writer{Kind: helper.WriterFile, PID: 4000 + i, Program: "vim", Path: fmt.Sprint("/etc/file", i)})
	}
	s.states = []report{unlockedNow(), partlyAt, blocked, lockedAt}
	if err := item.p.conn.AddMatchSignal(dbus.WithMatchInterface(itemInterface), dbus.WithMatchMember("NewToolTip")); err != nil {
		t.Fatal(err)
	}
	item.p.conn.Signal(s.signals)
	t.Cleanup(func() { item.p.conn.RemoveSignal(s.signals) })
	return s
}

// shake waits for each change to be shown: none is left out.
func (s *shaker) shake(changes, openings int) {
	s.t.Helper()
	for i := range changes {
		s.child.set(s.states[s.next%len(s.states)])
		s.next++
		s.await()
		if i%max(1, changes/openings) == 0 {
			s.open()
		}
	}
}

func (s *shaker) await() {
	s.t.Helper()
	giveUp := time.NewTimer(timeout)
	defer giveUp.Stop()
	select {
	case <-s.signals:
	case <-giveUp.C:
		s.t.Fatalf("change %d was not shown", s.next)
	}
}

// open does what a panel does when the menu is opened and closed.
func (s *shaker) open() {
	s.t.Helper()
	menu := s.item.menu()
	for _, event := range []string{"opened", "closed"} {
		if event == "opened" {
			if err := menu.Call("com.canonical.dbusmenu.AboutToShow", 0, int32(0)).Err; err != nil {
				s.t.Fatal(err)
			}
			s.item.layout()
		}
		if err := menu.Call("com.canonical.dbusmenu.Event", 0, int32(0), event, dbus.MakeVariant(0), uint32(0)).Err; err != nil {
			s.t.Fatal(err)
		}
	}
}

// pss returns the applet's proportional share of memory, in KiB (proc_pid_smaps(5)).
func (s *shaker) pss() int {
	s.t.Helper()
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.child.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range bytes.Lines(rollup) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == "Pss:" {
			kib, err := strconv.Atoi(string(fields[1]))
			if err != nil {
				s.t.Fatal(err)
			}
			return kib
		}
	}
	s.t.Fatal("there is no line Pss: in smaps_rollup")
	return 0
}
