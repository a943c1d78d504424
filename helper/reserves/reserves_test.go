package reserves

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"

	"immutray.org/helper/btrfs"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// startBus starts a bus and returns its address.
func startBus(t *testing.T) string {
	t.Helper()
	lab.Require(t, "dbus-daemon:dbus-daemon")
	dir, err := os.MkdirTemp("", "bus") // the name of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	address := "unix:path=" + filepath.Join(dir, "bus")
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address", "--address="+address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("dbus-daemon did not start: %v", err)
	}
	return address
}

// devices stands in for UPower as far as it lists its devices.
type devices []dbus.ObjectPath

func (d devices) EnumerateDevices() ([]dbus.ObjectPath, *dbus.Error) { return d, nil }

// serveUPower has a UPower with these devices on the bus, until the end of the test.
func serveUPower(t *testing.T, address string, cells []cell) {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var all devices
	for i, c := range cells {
		path := dbus.ObjectPath(fmt.Sprintf("%s/devices/battery_%d", upowerPath, i))
		all = append(all, path)
		_, err := prop.Export(conn, path, prop.Map{upowerDevice: {
			"Type": {Value: c.kind}, "State": {Value: c.state}, "PowerSupply": {Value: c.supplies}, "IsPresent": {Value: c.present},
			"Percentage": {Value: c.percentage}, "Energy": {Value: c.have}, "EnergyFull": {Value: c.hold},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	all = append(all, upowerPath+"/devices/gone") // since it was listed
	if err := conn.Export(all, upowerPath, upowerName); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(upowerName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
}

// What UPower says of the machines that there are.
func TestBattery(t *testing.T) {
	laptop := func(state uint32, percentage float64) cell {
		return cell{kind: typeBattery, state: state, supplies: true, present: true, percentage: percentage, have: percentage / 2, hold: 50}
	}
	ups := cell{kind: 3, state: discharging, supplies: true, present: true, percentage: 5}
	headset := cell{kind: typeBattery, state: discharging, present: true, percentage: 5}
	line := cell{kind: 1, supplies: true}
	gone := cell{kind: typeBattery, supplies: true}
	unsure := cell{kind: typeBattery, state: discharging, supplies: true, present: true, percentage: 10}
	for name, test := range map[string]struct {
		cells []cell
		want  string // of the sentence; "" is none
	}{
		"low":                       {[]cell{line, laptop(discharging, 12)}, "the battery is at 12 %"},
		"just enough":               {[]cell{laptop(discharging, 20)}, ""},
		"full":                      {[]cell{laptop(discharging, 98)}, ""},
		"charging":                  {[]cell{line, laptop(charging, 5)}, ""},
		"waiting to be charged":     {[]cell{line, laptop(5, 5)}, ""},
		"empty":                     {[]cell{laptop(empty, 0)}, "the battery is at 0 %"},
		"no battery":                {[]cell{line}, ""},
		"an empty bay":              {[]cell{line, gone}, ""},
		"a headset's":               {[]cell{line, headset}, ""},
		"a desktop's UPS":           {[]cell{line, ups}, ""},
		"a laptop on a UPS":         {[]cell{ups, laptop(4, 100)}, ""},
		"a low laptop on a UPS":     {[]cell{ups, laptop(discharging, 10)}, "the battery is at 10 %"},
		"two, one after the other":  {[]cell{laptop(discharging, 4), laptop(0, 96)}, ""},
		"two, both low":             {[]cell{laptop(discharging, 4), laptop(0, 6)}, "the battery is at 5 %"},
		"two, one being charged":    {[]cell{laptop(discharging, 4), laptop(charging, 6)}, ""},
		"one without its energy":    {[]cell{unsure}, "the battery is at 10 %"},
		"low, and a headset's full": {[]cell{headset, laptop(discharging, 15)}, "the battery is at 15 %"},
	} {
		t.Run(name, func(t *testing.T) {
			address := startBus(t)
			serveUPower(t, address, test.cells)
			got := short(t.Context(), nil, address)
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], test.want)) {
				t.Errorf("told %q, want %q", got, test.want)
			}
		})
	}
}

// Where nobody tells of a battery there is none to tell of, and nobody is waited for.
func TestBatteryWithoutUPower(t *testing.T) {
	address := startBus(t)
	if got := short(t.Context(), nil, address); len(got) > 0 {
		t.Errorf("without UPower told %q", got)
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Export(silent{t.Context()}, upowerPath, upowerName); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(upowerName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if got := short(t.Context(), nil, address); len(got) > 0 || time.Since(before) > batteryTimeout+5*time.Second {
		t.Errorf("with a UPower that is silent told %q after %v", got, time.Since(before))
	}
}

type silent struct{ until context.Context }

func (s silent) EnumerateDevices() ([]dbus.ObjectPath, *dbus.Error) {
	<-s.until.Done()
	return nil, nil
}

// newDisk returns where a btrfs of 3 GiB is mounted, which takes next to nothing. It could
// grow by more.
func newDisk(t *testing.T, more int64) string {
	t.Helper()
	lab.Require(t, "mkfs.btrfs:btrfs-progs", "mount:mount", "fallocate:util-linux")
	image, at := filepath.Join(lab.Dir(t), "image"), lab.Dir(t)
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 3<<30+more); err != nil {
		t.Fatal(err)
	}
	command(t, "mkfs.btrfs", "--quiet", "--metadata", "single", "--byte-count", "3G", image)
	command(t, "mount", "-o", "loop", image, at)
	t.Cleanup(func() { command(t, "umount", at) })
	return at
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

// What is free for data is told when it is little.
func TestDataRoom(t *testing.T) {
	at := newDisk(t, 0)
	if got := little(at); got != "" {
		t.Errorf("of an empty disk of 3 GiB: %s", got)
	}
	command(t, "fallocate", "--length", "2G", filepath.Join(at, "file"))
	command(t, "btrfs", "filesystem", "sync", at)
	if got := little(at); !strings.HasPrefix(got, fmt.Sprintf("the file system of %q has only ", at)) || strings.Contains(got, "metadata") {
		t.Errorf("with 2 of 3 GiB taken: %q", got)
	}
}

// statfs(2) calls more than a gigabyte free where every file may be the last one.
func TestMetadataRoom(t *testing.T) {
	at := newDisk(t, 48<<20)
	dir, err := os.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close() // before it is unmounted
	// All that was unallocated is in block groups for data now, and stays so: each keeps a
	// file.
	n := 0
	for deadline := time.Now().Add(time.Minute); ; {
		for ; exec.Command("fallocate", "--length", "16M", filepath.Join(at, fmt.Sprint(n))).Run() == nil; n++ {
		}
		room, err := btrfs.MetadataRoom(int(dir.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		if room < 16<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are in no block group, and stay so", room)
		}
		command(t, "btrfs", "filesystem", "sync", at) // for what waits to be given back
	}
	for i := range n {
		if i%4 != 0 {
			if err := os.Remove(filepath.Join(at, fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	command(t, "btrfs", "filesystem", "sync", at)
	// What is full to the last is so for statfs(2) as well.
	command(t, "btrfs", "filesystem", "resize", "max", at)
	command(t, "btrfs", "filesystem", "sync", at)
	if got := little(at); !strings.Contains(got, " MiB left for metadata") {
		out, _ := exec.Command("btrfs", "filesystem", "usage", at).CombinedOutput()
		t.Errorf("told %q of\n%s", got, out)
	}
}
