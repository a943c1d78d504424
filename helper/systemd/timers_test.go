package systemd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/lockstate"
	"immutray.org/packaging/testbed/lab"
)

// timerManager stands in for systemd as far as timers go. It takes what systemd 252 takes
// (bus_timer_set_transient_property in its dbus-timer.c).
type timerManager struct {
	t    *testing.T
	conn *dbus.Conn

	mu      sync.Mutex
	timers  map[string]map[string]dbus.Variant
	jobs    uint32
	result  string      // of the jobs; "" is done
	refusal *dbus.Error // of every call
	stopped func(left int)
}

func newTimerManager(t *testing.T, b *bus) *timerManager {
	t.Helper()
	conn, err := dbus.Connect(b.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m := &timerManager{t: t, conn: conn, timers: map[string]map[string]dbus.Variant{}, stopped: func(int) {}}
	if err := conn.Export(m, systemdPath, systemdManager); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(systemdName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("RequestName() = %v, %v", reply, err)
	}
	return m
}

func (m *timerManager) Subscribe() *dbus.Error { return nil }

// job begins a job that ends at once, after its reply or before.
func (m *timerManager) job(unit string) dbus.ObjectPath {
	m.jobs++
	job := dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/systemd1/job/%d", m.jobs))
	result := "done"
	if m.result != "" {
		result = m.result
	}
	m.conn.Emit(systemdPath, systemdManager+".JobRemoved", m.jobs, job, unit, result)
	return job
}

func (m *timerManager) StartTransientUnit(unit, mode string, properties []sd.Property, auxiliary []sd.PropertyCollection) (dbus.ObjectPath, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusal != nil {
		return "", m.refusal
	}
	if mode != "fail" || len(auxiliary) > 0 {
		m.t.Errorf("StartTransientUnit(%q, %q, …, %v)", unit, mode, auxiliary)
	}
	if _, ok := m.timers[unit]; ok {
		return "", dbus.NewError("org.freedesktop.systemd1.UnitExists", []any{"Unit " + unit + " was already loaded or has a fragment file."})
	}
	byName := map[string]dbus.Variant{}
	for _, p := range properties {
		byName[p.Name] = p.Value
	}
	if m.result == "" {
		m.timers[unit] = byName
	}
	return m.job(unit), nil
}

func (m *timerManager) StopUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.timers[unit]; !ok || mode != "replace" {
		return "", dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"Unit " + unit + " not loaded."})
	}
	delete(m.timers, unit)
	m.stopped(len(m.timers))
	return m.job(unit), nil
}

func (m *timerManager) ListUnitsByPatterns(states, patterns []string) ([]sd.UnitStatus, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusal != nil {
		return nil, m.refusal
	}
	units := []sd.UnitStatus{{Name: "immutray-relock@gone.timer", LoadState: "loaded", ActiveState: "inactive", SubState: "dead", Path: "/", JobPath: "/"}}
	for unit := range m.timers {
		if ok, _ := path.Match(patterns[0], unit); ok && len(states) == 0 {
			units = append(units, sd.UnitStatus{Name: unit, LoadState: "loaded", ActiveState: "active", SubState: "waiting", Path: "/", JobPath: "/"})
		}
	}
	return units, nil
}

// with calls do while no call is served.
func (m *timerManager) with(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do()
}

func (m *timerManager) armed() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.timers))
}

func TestArmAndDisarm(t *testing.T) {
	b := newBus(t)
	m := newTimerManager(t, b)
	timers := Timers{Manager{bus: b.address}}
	for _, id := range []string{"1", "2", "3"} {
		if err := timers.Arm(t.Context(), id, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	m.with(func() { m.timers["logrotate.timer"] = nil })
	if err := timers.Disarm(t.Context(), "2"); err != nil {
		t.Error(err)
	}
	if got, want := m.armed(), []string{"immutray-relock@2.timer", "logrotate.timer"}; !slices.Equal(got, want) {
		t.Errorf("armed: %q, want %q", got, want)
	}
	if err := timers.Disarm(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if got, want := m.armed(), []string{"logrotate.timer"}; !slices.Equal(got, want) {
		t.Errorf("armed: %q, want %q", got, want)
	}
}

func TestTimerProperties(t *testing.T) {
	now := time.Date(2026, 11, 23, 23, 59, 30, 5, time.FixedZone("", -3600))
	b := newBus(t)
	m := newTimerManager(t, b)
	got := map[string]string{}
	for _, p := range timerProperties(now, 10*time.Minute, 90*time.Second) {
		got[p.Name] = p.Value.String()
	}
	want := map[string]string{
		"Description":       `"Lock the operating system when the time of an unlock is over"`,
		"AccuracyUSec":      "@t 1000000",
		"RemainAfterElapse": "false",
		"OnClockChange":     "true",
		// What keeps it from being stopped by anything but the end of the system.
		"DefaultDependencies": "false",
		"IgnoreOnIsolate":     "true",
		"Conflicts":           `["reboot.target", "kexec.target", "poweroff.target", "halt.target"]`,
		"Before":              `["shutdown.target"]`,
		"TimersMonotonic":     `@a(st) [("OnActiveSec", 90000000,), ("OnBootSec", 690000000,)]`,
		"TimersCalendar":      `[("OnCalendar", "2026-11-24 01:01:01 UTC",)]`,
	}
	if !maps.Equal(got, want) {
		t.Errorf("timerProperties() =\n%q, want\n%q", got, want)
	}
	// And as it arrives. WakeSystem= would wake the machine to lock it.
	if err := (Timers{Manager{bus: b.address}}).Arm(t.Context(), "1", time.Hour); err != nil {
		t.Fatal(err)
	}
	var timer map[string]dbus.Variant
	m.with(func() { timer = m.timers["immutray-relock@1.timer"] })
	for name, signature := range map[string]string{"TimersMonotonic": "a(st)", "TimersCalendar": "a(ss)", "AccuracyUSec": "t", "OnClockChange": "b"} {
		if got := timer[name].Signature().String(); got != signature {
			t.Errorf("%s has the signature %s, want %s", name, got, signature)
		}
	}
	if len(timer) != len(want) {
		t.Errorf("the timer has %v", timer)
	}
}

func TestArmFails(t *testing.T) {
	b := newBus(t)
	timers := Timers{Manager{bus: b.address}}
	if err := timers.Arm(t.Context(), "1", time.Hour); err == nil || !strings.HasPrefix(err.Error(), "systemd: ") {
		t.Errorf("Arm() without systemd on the bus = %v", err)
	}
	m := newTimerManager(t, b)
	m.with(func() { m.result = "failed" })
	if err := timers.Arm(t.Context(), "1", time.Hour); err == nil || err.Error() != "systemd: the start of immutray-relock@1.timer ended (failed)" {
		t.Errorf("Arm() whose job fails = %v", err)
	}
	m.with(func() {
		m.result, m.refusal = "", dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"no"})
	})
	if err := timers.Arm(t.Context(), "1", time.Hour); err == nil || err.Error() != "systemd: no" {
		t.Errorf("Arm() when systemd refuses = %v", err)
	}
	if err := timers.Disarm(t.Context(), ""); err == nil || err.Error() != "systemd: no" {
		t.Errorf("Disarm() when systemd refuses = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := timers.Arm(ctx, "1", time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("Arm() after its context ended = %v", err)
	}
}

// The unit of an unlock arms the timer before anything is unlocked, and at no moment
// there is none: neither when it looks every 10 ms, nor whenever systemd stops one.
func TestNeverUnlockedWithoutATimer(t *testing.T) {
	system := lab.New(t)
	if err := system.CloseTop(); err != nil {
		t.Fatal(err)
	}
	b := newBus(t)
	m := newTimerManager(t, b)
	reader := &lockstate.Reader{Paths: system.Protected(), StateDir: system.State}
	isLocked := func() bool { return reader.Read().State == helper.Locked }
	e := &engine.Engine{
		Config: config.Config{Paths: system.Protected(), StateDir: system.State, UnlockDefault: time.Hour},
		Timer:  Timers{Manager{bus: b.address}},
	}
	run := func(r helper.Request) *helper.Result {
		t.Helper()
		r.ID = fmt.Sprint(time.Now().UnixNano())
		result := e.Run(t.Context(), r)
		if result.Outcome != helper.Done || len(result.Notices) > 0 {
			t.Fatalf("%+v: %s, %q, %q", r, result.Outcome, result.Error, result.Notices)
		}
		return result
	}
	run(helper.Request{Verb: helper.Lock})
	m.with(func() {
		m.stopped = func(left int) {
			if left == 0 && !isLocked() {
				t.Error("the last timer was stopped while the system is unlocked")
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan int)
	go func() {
		looks := 0
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		for ctx.Err() == nil {
			// While none can be started or stopped.
			m.with(func() {
				if len(m.timers) == 0 && !isLocked() {
					t.Error("unlocked, and no timer is armed")
				}
			})
			looks++
			<-again.C
		}
		watched <- looks
	}()
	for i := range 100 {
		run(helper.Request{Verb: helper.Unlock, For: time.Duration(1+i*37%90) * time.Minute})
		if got := m.armed(); len(got) != 1 {
			t.Errorf("armed after extension %d: %q", i, got)
		}
	}
	run(helper.Request{Verb: helper.Lock})
	cancel()
	if looks := <-watched; looks < 10 {
		t.Errorf("the watcher looked only %d times", looks)
	}
	if got := m.armed(); len(got) > 0 {
		t.Errorf("armed after the lock: %q", got)
	}
}
