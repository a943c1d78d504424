package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

// A file is held until its maker has closed it, as the kernel does for one that is killed.
// A process that can only read it can neither hold it nor keep it from being held.
func TestHold(t *testing.T) {
	dir := Dir(filepath.Join(lab.Dir(t), "state"))
	folder := dir.Programs()
	if err := folder.Make(); err != nil {
		t.Fatal(err)
	}
	first, err := folder.Hold("a", []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(when, want string, wantHeld bool) {
		t.Helper()
		f, held, err := Open(filepath.Join(folder.Path, "a"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got := make([]byte, 100)
		n, _ := f.Read(got)
		if string(got[:n]) != want || held != wantHeld {
			t.Errorf("%s: %q, held %v; want %q, %v", when, got[:n], held, want, wantHeld)
		}
	}
	expect("held", "first", true)
	if _, err := folder.Hold("a", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Hold() of a name that there is = %v", err)
	}
	reader, err := os.Open(filepath.Join(folder.Path, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := unix.Flock(int(reader.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	first.Close()
	expect("after its end, with a reader's lock", "first", false)

	second, err := folder.HoldInstead("a", []byte("second"))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	expect("replaced", "second", true)
	for path, want := range map[string]fs.FileMode{string(dir): 0o755, folder.Path: 0o755, second.Name(): 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if names, _ := os.ReadDir(folder.Path); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// A directory that others can write to, or that is none, is not used.
func TestMakeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"writable for a group": func(p string) error { return errors.Join(os.Mkdir(p, 0o755), os.Chmod(p, 0o775)) },
		"another's":            func(p string) error { return errors.Join(os.Mkdir(p, 0o755), os.Chown(p, 65534, 65534)) },
		"a symbolic link":      func(p string) error { return os.Symlink("/", p) },
		"a file":               func(p string) error { return os.WriteFile(p, nil, 0o644) },
	} {
		dir := Dir(filepath.Join(lab.Dir(t), "state"))
		if err := spoil(string(dir)); err != nil {
			t.Fatal(err)
		}
		if err := dir.Turns().Make(); err == nil {
			t.Errorf("%s: Make() = nil", name)
		}
	}
}

func TestLock(t *testing.T) {
	dir := Dir(lab.Dir(t))
	open := func() *Lock {
		t.Helper()
		l, err := dir.OpenLock()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first, second := open(), open()
	defer second.Close()
	if ok, err := first.Try(); !ok || err != nil {
		t.Fatalf("Try() = %v, %v", ok, err)
	}
	if ok, err := second.Try(); ok || err != nil {
		t.Errorf("Try() of a lock that is taken = %v, %v", ok, err)
	}
	if pid := second.Holder(); pid != 0 {
		t.Errorf("Holder() = %d, want 0 for this process itself", pid)
	}
	first.Close()
	if ok, err := second.Try(); !ok || err != nil {
		t.Errorf("Try() of a lock that was given up = %v, %v", ok, err)
	}
}
