package boot

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

func unfinished(t *testing.T, m Machine) int {
	t.Helper()
	f, err := m.Facts()
	if err != nil {
		t.Fatal(err)
	}
	return f.Unfinished
}

// kept returns a machine whose directory is still to be made, and the file in it.
func kept(t *testing.T) (m Machine, file string) {
	t.Helper()
	if os.Geteuid() != 0 {
		lab.Unavailable(t, "the directory has to be root's")
	}
	m = Machine{Kept: filepath.Join(t.TempDir(), "immutray")}
	return m, filepath.Join(m.Kept, unfinishedName)
}

// A boot counts for those after it, and not for itself, however often it asks.
func TestBegin(t *testing.T) {
	m, file := kept(t)
	own, err := bootID()
	if err != nil || len(own) != 36 {
		t.Fatalf("the boot's id is %q, %v", own, err)
	}
	for range 2 {
		if err := m.Begin(nil); err != nil {
			t.Fatal(err)
		}
		if got := unfinished(t, m); got != 0 {
			t.Errorf("this boot counts for itself: %d", got)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != own+"\n" {
		t.Errorf("on record is %q, %v, want this boot once", got, err)
	}
	others := "11111111-1111-1111-1111-111111111111\n22222222-2222-2222-2222-222222222222\n"
	if err := os.WriteFile(file, []byte(others), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := unfinished(t, m); got != 2 {
		t.Errorf("%d boots before this one, want 2", got)
	}
	if err := m.Begin(nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != others+own+"\n" {
		t.Errorf("on record is %q, %v", got, err)
	}
	if got := unfinished(t, m); got != 2 {
		t.Errorf("%d boots before this one, want 2", got)
	}
}

func TestWhatIsNoRecordCountsForNothing(t *testing.T) {
	for name, make := range map[string]func(file string) error{
		"none":      func(string) error { return nil },
		"empty":     func(f string) error { return os.WriteFile(f, nil, 0o644) },
		"directory": func(f string) error { return os.Mkdir(f, 0o755) },
		"link":      func(f string) error { return os.Symlink("/proc/modules", f) },
		"fifo":      func(f string) error { return unix.Mkfifo(f, 0o644) },
	} {
		m, file := kept(t)
		if err := os.Mkdir(m.Kept, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := make(file); err != nil {
			t.Fatal(err)
		}
		if got := unfinished(t, m); got != 0 {
			t.Errorf("%s: %d boots, want none", name, got)
		}
		if err := m.Begin(nil); (err != nil) != (name == "directory") {
			t.Errorf("%s: Begin() = %v", name, err)
		}
	}
	m, file := kept(t)
	if err := os.Mkdir(m.Kept, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Repeat([]byte("x\n"), 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := unfinished(t, m); got > maxUnfinished {
		t.Errorf("a record without an end: %d boots were read", got)
	}
}

// Not where it could not be removed any more, not where somebody else could write, and
// not on what is read-only.
func TestBeginRefuses(t *testing.T) {
	m, _ := kept(t)
	if err := (Machine{}).Begin(nil); err != nil {
		t.Errorf("without a directory: %v", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Dir(m.Kept), &st); err != nil {
		t.Fatal(err)
	}
	if err := m.Begin([]uint64{1, st.Dev}); err == nil || !strings.Contains(err.Error(), "is on a protected path") {
		t.Errorf("on a protected path: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(m.Kept)); err != nil || len(entries) > 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
	if err := os.Mkdir(m.Kept, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(m.Kept, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := m.Begin(nil); err == nil || !strings.Contains(err.Error(), "only root can write to") {
		t.Errorf("where anybody can write: %v", err)
	}
	for _, dir := range []string{"/proc", "/nowhere"} {
		if err := (Machine{Kept: filepath.Join(dir, "immutray")}).Begin(nil); err == nil || strings.Count(err.Error(), "cannot") != 1 {
			t.Errorf("in %s: %v", dir, err)
		}
	}
}

func FuzzUnfinished(f *testing.F) {
	f.Add([]byte("11111111-1111-1111-1111-111111111111\n"))
	f.Add([]byte("\x00 \n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		m := Machine{Kept: dir}
		if err := os.WriteFile(filepath.Join(dir, unfinishedName), text, 0o644); err != nil {
			t.Fatal(err)
		}
		ids, err := m.unfinished()
		if err != nil || slices.Contains(ids, "") || len(ids) > maxUnfinished {
			t.Errorf("%q: %q, %v", text, ids, err)
		}
	})
}
