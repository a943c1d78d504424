package records

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/statedir"
	"immutray.org/packaging/testbed/lab"
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
	// A file that is not held is that of a dead guardian, also if a reader locks it.
	records[0].die()
	reader, err := os.Open(filepath.Join(statedir.Dir(dir).Runs().Path, "a"))
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
	// Its name is free again.
	again, err := Put(dir, newer)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	records[1].Close()
	expectEmpty(t, dir)
}

// die leaves the record as a process does that is killed.
func (r *Record) die() {
	for _, f := range r.files {
		f.Close()
	}
}

func expectEmpty(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"runs", "programs"} {
		if left, err := os.ReadDir(filepath.Join(dir, name)); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// A command line may hold a password.
func TestACommandLineIsRootsAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		lab.Unavailable(t, "root is needed to record a command")
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	rec, err := Put(dir, helper.Run{ID: "a", User: "root", Command: []string{"/usr/bin/mysql", "-phunter2"}, PID: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		switch secret := strings.Contains(string(text), "hunter2"); {
		case err != nil:
			return err
		case secret && info.Mode() != 0o600, !secret && info.Mode() != 0o644:
			t.Errorf("%s has mode %v: %s", path, info.Mode(), text)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(statedir.Dir(dir).Runs().Path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
	whole, err := List(dir)
	if err != nil || len(whole) != 1 || len(whole[0].Command) != 2 {
		t.Errorf("root is told %+v, %v", whole, err)
	}
	public, _, err := list(statedir.Dir(dir).Programs().Path)
	if err != nil || len(public) != 1 || !reflect.DeepEqual(public[0].Command, []string{"mysql"}) || public[0].PID != 7 || public[0].User != "root" {
		t.Errorf("everyone is told %+v, %v", public, err)
	}
}

// Nobody answers for a command when the process that held its record is dead, and its
// runner has had the time to start another.
func TestAbandoned(t *testing.T) {
	if os.Geteuid() != 0 {
		lab.Unavailable(t, "root is needed to record a command")
	}
	dir := t.TempDir()
	put := func(id string, runner int) *Record {
		t.Helper()
		rec, err := Put(dir, helper.Run{ID: id, PID: runner, Command: []string{"true"}})
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	const nobody = 1 << 30 // no process has such an id (pid_max in proc_sys_kernel(5))
	defer put("alive", nobody).Close()
	if found := Abandoned(dir); len(found) > 0 {
		t.Errorf("abandoned are %+v", found)
	}
	put("dead", nobody).die()
	began := time.Now()
	if found := Abandoned(dir); len(found) != 1 || found[0].ID != "dead" || time.Since(began) > Replacement {
		t.Errorf("abandoned are %+v, after %v", found, time.Since(began))
	}
	Clear(dir, "dead")
	Clear(dir, "alive") // which stays, as it is held
	put("again", os.Getpid()).die()
	another := make(chan *Record, 1) // without a reference the garbage collector would close it
	go func() {
		time.Sleep(Replacement / 10)
		another <- put("again", os.Getpid())
	}()
	if found := Abandoned(dir); len(found) > 0 {
		t.Errorf("abandoned are %+v, whose runner has started another guardian", found)
	}
	defer (<-another).Close()
	put("stuck", os.Getpid()).die()
	began = time.Now()
	if found := Abandoned(dir); len(found) != 1 || found[0].ID != "stuck" || time.Since(began) < Replacement {
		t.Errorf("abandoned are %+v, after %v", found, time.Since(began))
	}
	if found, err := List(dir); err != nil || len(found) != 2 {
		t.Errorf("at work are %+v, %v", found, err)
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
	if err := rec.files[0].Truncate(3); err != nil {
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
