package runs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/practice/lab"
)

func TestPutAndList(t *testing.T) {
	if os.Geteuid() != 0 {
		lab.Unavailable(t, "root is needed to record a command")
	}
	dir := filepath.Join(t.TempDir(), "state")
	if found, err := List(dir); err != nil || len(found) > 0 {
		t.Errorf("List() of nothing = %v, %v", found, err)
	}
	now := time.Now().UTC().Round(0)
	newer := helper.Run{ID: "a", Since: now, User: "root", Reason: "why", Command: []string{"apt", "upgrade"}, PID: 7, SystemWide: true}
	older := helper.Run{ID: "b", Since: now.Add(-time.Hour), Command: []string{"true"}}
	var records []*Record
	for _, r := range []helper.Run{newer, older} {
		rec, err := Put(dir, r)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, rec)
	}
	if found, err := List(dir); err != nil || !reflect.DeepEqual(found, []helper.Run{older, newer}) {
		t.Errorf("List() = %+v, %v", found, err)
	}
	if info, err := os.Stat(filepath.Join(dir, dirName, "a")); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// A file that nobody holds is that of a dead one, also if a reader locks it.
	records[0].held.Close()
	reader, err := os.Open(filepath.Join(dir, dirName, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := unix.Flock(int(reader.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	shared := unix.Flock_t{Type: unix.F_RDLCK}
	if err := unix.FcntlFlock(reader.Fd(), unix.F_OFD_SETLK, &shared); err != nil {
		t.Fatal(err)
	}
	if found, err := List(dir); err != nil || len(found) != 1 || found[0].ID != "b" {
		t.Errorf("List() with a dead one = %+v, %v", found, err)
	}
	// It is swept up, and its name is free again.
	again, err := Put(dir, newer)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	records[1].Close()
	if left, err := os.ReadDir(filepath.Join(dir, dirName)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What can't be read still counts.
func TestADamagedRecord(t *testing.T) {
	if os.Geteuid() != 0 {
		lab.Unavailable(t, "root is needed to record a command")
	}
	dir := t.TempDir()
	rec, err := Put(dir, helper.Run{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	if err := rec.held.Truncate(3); err != nil {
		t.Fatal(err)
	}
	found, err := List(dir)
	if len(found) != 1 || err == nil || !strings.HasPrefix(err.Error(), `cannot look for commands of "immutectl run"`) {
		t.Errorf("List() = %+v, %v", found, err)
	}
}

func TestPutIntoWhatIsNotRoots(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Put(dir, helper.Run{ID: "a"}); err == nil || !strings.HasPrefix(err.Error(), "cannot record the command: ") {
		t.Errorf("Put() = %v", err)
	}
}
