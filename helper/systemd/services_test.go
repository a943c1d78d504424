package systemd

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper/sandbox"
)

// A slowUnit answers after a while, one question after the other, as PID 1 does.
type slowUnit struct {
	turn  *sync.Mutex
	after time.Duration
}

func (u slowUnit) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	u.turn.Lock()
	defer u.turn.Unlock()
	time.Sleep(u.after)
	return map[string]dbus.Variant{"ProtectSystem": dbus.MakeVariant("full")}, nil
}

// slowManager has so many services, and answers each question after a while.
func slowManager(t *testing.T, number int, after time.Duration) (p Manager, names []string) {
	t.Helper()
	b := newBus(t)
	conn, err := dbus.Connect(b.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	unit := slowUnit{new(sync.Mutex), after}
	for i := range number {
		name := fmt.Sprintf("service-%d.service", i)
		if err := conn.Export(unit, unitPath(name), properties); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if _, err := conn.RequestName(systemdName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return Manager{bus: b.address, timeout: 2 * time.Second}, names
}

// As long as PID 1 goes on answering it is waited for, however long that is in all: on a
// slow machine it takes more time for all services than one answer ever may.
func TestServicesAreDescribedByASlowPID1(t *testing.T) {
	p, names := slowManager(t, 40, 100*time.Millisecond)
	described := Services{p}.Describe(t.Context(), names)
	for _, name := range names {
		if got := described[name].Sandbox.Of("/etc", true); got != sandbox.ReadOnly {
			t.Errorf("%s wants /etc %v, want that it is read-only", name, got)
		}
	}
}

func TestServicesAreNotWaitedForInVain(t *testing.T) {
	p, names := slowManager(t, 1, time.Minute)
	begin := time.Now()
	if described := (Services{p}).Describe(t.Context(), names); len(described) > 0 {
		t.Errorf("described %+v without an answer", described)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}
