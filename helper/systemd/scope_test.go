package systemd

import (
	"errors"
	"strings"
	"testing"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// scopes stands in for systemd as far as scopes go.
type scopes struct {
	*manager
	made chan map[string]dbus.Variant
}

func (s *scopes) StartTransientUnit(name, mode string, given []sd.Property, _ []sd.PropertyCollection) (dbus.ObjectPath, *dbus.Error) {
	select {
	case <-s.subscribed:
	default:
		return "", dbus.MakeFailedError(errors.New("StartTransientUnit before Subscribe"))
	}
	made := map[string]dbus.Variant{}
	for _, p := range given {
		made[p.Name] = p.Value
	}
	s.made <- made
	result := "done"
	if name == "immutray-run-2.scope" {
		result = "failed"
	}
	const job = dbus.ObjectPath("/org/freedesktop/systemd1/job/7")
	if err := s.conn.Emit(systemdPath, systemdManager+".JobRemoved", uint32(7), job, name, result); err != nil {
		return "", dbus.MakeFailedError(err)
	}
	return job, nil
}

func TestLeaveCgroup(t *testing.T) {
	b := newBus(t)
	conn, err := dbus.Connect(b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &scopes{&manager{conn: conn, subscribed: make(chan struct{}, 1)}, make(chan map[string]dbus.Variant, 2)}
	if err := conn.Export(s, systemdPath, systemdManager); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(systemdName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	if err := (Manager{bus: b.address}).leaveCgroup(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	made := <-s.made
	if pids, _ := made["PIDs"].Value().([]uint32); len(pids) != 1 || pids[0] != 1 {
		t.Errorf("made %v", made)
	}
	if err := (Manager{bus: b.address}).leaveCgroup(t.Context(), 2); err == nil || err.Error() != "systemd: the start of immutray-run-2.scope ended (failed)" {
		t.Errorf("leaveCgroup() = %v", err)
	}
	b.stop()
	if err := (Manager{bus: b.address}).leaveCgroup(t.Context(), 3); err == nil || !strings.HasPrefix(err.Error(), "systemd: ") {
		t.Errorf("leaveCgroup() without a bus = %v", err)
	}
}
