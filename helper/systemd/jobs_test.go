package systemd

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

// A bus is a message bus of the test's own.
type bus struct {
	address string
	daemon  *exec.Cmd
}

func newBus(t *testing.T) *bus {
	t.Helper()
	lab.Require(t, "dbus-daemon:dbus-daemon")
	socket := filepath.Join(t.TempDir(), "bus")
	conf := filepath.Join(t.TempDir(), "conf")
	const text = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path=SOCKET</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`
	if err := os.WriteFile(conf, []byte(strings.ReplaceAll(text, "SOCKET", socket)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--print-address")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &bus{"unix:path=" + socket, cmd}
	t.Cleanup(b.stop)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("dbus-daemon did not start: %v", err)
	}
	return b
}

func (b *bus) stop() {
	b.daemon.Process.Kill()
	b.daemon.Wait()
}

// manager stands in for org.freedesktop.systemd1 on a bus. Its methods are called as
// systemd's are.
type manager struct {
	conn       *dbus.Conn
	subscribed chan struct{}
	start      func(m *manager, unit, mode string) (dbus.ObjectPath, *dbus.Error)
}

func newManager(t *testing.T, b *bus, start func(m *manager, unit, mode string) (dbus.ObjectPath, *dbus.Error)) {
	t.Helper()
	conn, err := dbus.Connect(b.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m := &manager{conn, make(chan struct{}, 1), start}
	if err := conn.Export(m, systemdPath, systemdManager); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(systemdName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("RequestName() = %v, %v", reply, err)
	}
}

func (m *manager) Subscribe() *dbus.Error {
	m.subscribed <- struct{}{}
	return nil
}

func (m *manager) StartUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	select {
	case <-m.subscribed:
	default:
		return "", dbus.MakeFailedError(errors.New("StartUnit before Subscribe"))
	}
	return m.start(m, unit, mode)
}

func (m *manager) GetUnit(unit string) (dbus.ObjectPath, *dbus.Error) {
	if unit != "immutray-lock.service" {
		return "", dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", nil)
	}
	return lockUnit, nil
}

const lockUnit = dbus.ObjectPath("/org/freedesktop/systemd1/unit/immutray_2dlock_2eservice")

// service is the unit's object, with the properties of its last run.
type service map[string]dbus.Variant

func (s service) GetAll(of string) (map[string]dbus.Variant, *dbus.Error) {
	if of != systemdService {
		return nil, dbus.MakeFailedError(errors.New("no such interface"))
	}
	return s, nil
}

func (m *manager) jobRemoved(id uint32, job dbus.ObjectPath, unit, result string) {
	m.conn.Emit(systemdPath, systemdManager+".JobRemoved", id, job, unit, result)
}

const job7 = dbus.ObjectPath("/org/freedesktop/systemd1/job/7")

func TestStart(t *testing.T) {
	b := newBus(t)
	newManager(t, b, func(m *manager, unit, mode string) (dbus.ObjectPath, *dbus.Error) {
		if unit != "immutray-lock.service" || mode != "replace" {
			t.Errorf("StartUnit(%q, %q)", unit, mode)
		}
		go func() {
			m.conn.Emit(systemdPath, systemdManager+".UnitNew", unit, systemdPath)
			m.conn.Emit(systemdPath, systemdManager+".JobRemoved", "not what it should be")
			m.jobRemoved(6, "/org/freedesktop/systemd1/job/6", unit, "done")
			m.jobRemoved(7, job7, unit, "canceled")
		}()
		return job7, nil
	})
	if got, err := (Manager{bus: b.address}).Start(context.Background(), "immutray-lock.service"); got != (End{Result: "canceled", Status: -1}) || err != nil {
		t.Errorf("Start() = %+v, %v, want the result of our job", got, err)
	}
}

// Of a failure systemd says whether this start has begun the run, and its exit status.
func TestStartOfARunThatFails(t *testing.T) {
	b := newBus(t)
	runs := make(chan func() service, 1)
	newManager(t, b, func(m *manager, unit, _ string) (dbus.ObjectPath, *dbus.Error) {
		if err := m.conn.Export((<-runs)(), lockUnit, properties); err != nil {
			t.Error(err)
		}
		m.jobRemoved(7, job7, unit, "failed")
		return job7, nil
	})
	const exited, killed = 1, 2 // waitid(2)
	describe := func(began uint64, code, status int32) service {
		return service{
			"ExecMainStartTimestampMonotonic": dbus.MakeVariant(began),
			"ExecMainCode":                    dbus.MakeVariant(code),
			"ExecMainStatus":                  dbus.MakeVariant(status),
			"Type":                            dbus.MakeVariant("oneshot"),
		}
	}
	before := monotonic(t)
	for _, test := range []struct {
		name string
		run  func() service
		want End
	}{
		{"ours", func() service { return describe(monotonic(t), exited, 6) }, End{Result: "failed", Status: 6}},
		{"one that had begun", func() service { return describe(before, exited, 3) }, End{Result: "failed", Status: 3, Merged: true}},
		{"killed", func() service { return describe(monotonic(t), killed, 6) }, End{Result: "failed", Status: -1}},
		{"no process", func() service { return describe(0, 0, 0) }, End{Result: "failed", Status: -1}},
		{"no properties", func() service { return service{} }, End{Result: "failed", Status: -1}},
	} {
		runs <- test.run
		if got, err := (Manager{bus: b.address}).Start(context.Background(), "immutray-lock.service"); got != test.want || err != nil {
			t.Errorf("%s: Start() = %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
	runs <- func() service { return service{} }
	if got, err := (Manager{bus: b.address}).Start(context.Background(), "other.service"); got != (End{Result: "failed", Status: -1}) || err != nil {
		t.Errorf("Start() of a unit that is gone = %+v, %v", got, err)
	}
}

// monotonic returns the time as systemd's properties have it.
func monotonic(t *testing.T) uint64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Error(err)
	}
	return uint64(now.Nano()) / 1000
}

// A quick unit is over before the reply to its start is here.
func TestStartOverBeforeReply(t *testing.T) {
	b := newBus(t)
	newManager(t, b, func(m *manager, unit, _ string) (dbus.ObjectPath, *dbus.Error) {
		m.jobRemoved(7, job7, unit, "done")
		return job7, nil
	})
	if got, err := (Manager{bus: b.address}).Start(context.Background(), "immutray-lock.service"); got != (End{Result: "done", Status: -1}) || err != nil {
		t.Errorf("Start() = %+v, %v, want done", got, err)
	}
}

func TestStartFails(t *testing.T) {
	b := newBus(t)
	newManager(t, b, func(*manager, string, string) (dbus.ObjectPath, *dbus.Error) {
		return "", dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"Unit immutray-lock.service not found."})
	})
	if got, err := (Manager{bus: b.address}).Start(context.Background(), "immutray-lock.service"); err == nil || err.Error() != "Unit immutray-lock.service not found." {
		t.Errorf("Start() = %+v, %v, want systemd's own words", got, err)
	}
}

func TestStartWithoutSystemd(t *testing.T) {
	b := newBus(t)
	if _, err := (Manager{bus: b.address}).Start(context.Background(), "x.service"); err == nil {
		t.Error("Start() without systemd on the bus = nil, want an error")
	}
	b.stop()
	if _, err := (Manager{bus: b.address}).Start(context.Background(), "x.service"); err == nil {
		t.Error("Start() without a bus = nil, want an error")
	}
}

func TestStartConnectionLost(t *testing.T) {
	b := newBus(t)
	newManager(t, b, func(*manager, string, string) (dbus.ObjectPath, *dbus.Error) {
		go b.daemon.Process.Kill()
		return job7, nil
	})
	if got, err := (Manager{bus: b.address}).Start(context.Background(), "x.service"); err == nil {
		t.Errorf("Start() = %+v, nil, want an error: its end is not known", got)
	}
}

func TestStartGivesUp(t *testing.T) {
	b := newBus(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	newManager(t, b, func(*manager, string, string) (dbus.ObjectPath, *dbus.Error) {
		cancel()
		return job7, nil
	})
	if _, err := (Manager{bus: b.address}).Start(ctx, "x.service"); !errors.Is(err, context.Canceled) {
		t.Errorf("Start() = %v, want that it was cancelled", err)
	}
}

// Every user may send signals on the system bus, and the ids of jobs can be guessed: the end
// of a job is what systemd says.
func TestStartBelievesSystemdAlone(t *testing.T) {
	b := newBus(t)
	stranger, err := dbus.Connect(b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	newManager(t, b, func(m *manager, unit, _ string) (dbus.ObjectPath, *dbus.Error) {
		err := stranger.Emit(systemdPath, systemdManager+".JobRemoved", uint32(7), job7, unit, "done")
		if err == nil {
			// The bus has passed the signal on when it answers what was sent after that.
			err = stranger.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err
		}
		if err != nil {
			t.Error(err)
		}
		m.jobRemoved(7, job7, unit, "failed")
		return job7, nil
	})
	got, err := Manager{bus: b.address}.Start(t.Context(), "immutray-lock.service")
	if err != nil || got.Result != "failed" {
		t.Errorf("Start() = %+v, %v, want what systemd has sent", got, err)
	}
}
