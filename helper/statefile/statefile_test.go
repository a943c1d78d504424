package statefile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/bound"
	"immutray.org/helper/statedir"
)

func example() State {
	return State{
		Window: &helper.Window{Since: time.Unix(1_790_000_000, 0).UTC(), UID: 1000, User: "rrs"},
		Overdue: &helper.Overdue{
			Outcome: helper.PackageManager,
			Error:   "cannot lock: dpkg is running",
			Busy:    &helper.Busy{Manager: "dpkg", Lock: "/var/lib/dpkg/lock", PID: 7, Program: "apt"},
		},
		Last: &helper.Result{
			Request: helper.Request{Verb: helper.Lock, ID: "5f", UID: 1000, User: "rrs"},
			Outcome: helper.Blocked,
			Error:   `cannot lock "/": it is being written to by "bash" (pid 7, "/x")`,
			Writers: []helper.Writer{{Kind: helper.WriterFile, Protected: "/", Path: "/x", PID: 7, Program: "bash"}},
		},
	}
}

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	if got, err := Read(dir); err != nil || !reflect.DeepEqual(got, State{}) {
		t.Errorf("Read() of no file = %+v, %v", got, err)
	}
	for _, want := range []State{example(), {}} {
		if err := Write(dir, want); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(dir); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Read() = %+v, %v; want %+v", got, err, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v; want the state file alone", entries, err)
	}
	if info, err := os.Stat(filepath.Join(dir, statedir.StateFile)); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode = %v, %v; want -rw-r--r--", info.Mode(), err)
	}
}

func TestReadRefusesWhatIsNoStateFile(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"garbage":   func(p string) error { return os.WriteFile(p, []byte("\x00\xff{"), 0o644) },
		"half":      func(p string) error { return os.WriteFile(p, []byte(`{"window": {`), 0o644) },
		"too_large": func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte(" "), maxSize+1), 0o644) },
		"symlink":   func(p string) error { return os.Symlink("/proc/version", p) },
		"directory": func(p string) error { return os.Mkdir(p, 0o755) },
	} {
		dir := t.TempDir()
		if err := make(filepath.Join(dir, statedir.StateFile)); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(dir); err == nil || !strings.HasPrefix(err.Error(), "cannot read the state file") {
			t.Errorf("Read() of %s = %+v, %v", name, got, err)
		}
	}
}

// What is written is read back, however long the names are that somebody gave his files.
func TestWhatIsWrittenCanBeRead(t *testing.T) {
	dir := t.TempDir()
	name := strings.Repeat("\x01", 4095)
	want := State{
		Window:   &helper.Window{Since: time.Unix(1_790_000_000, 0).UTC(), UID: 1000, User: "rrs"},
		Deadline: &Deadline{ID: "5f", SinceBoot: time.Hour},
		Overdue:  &helper.Overdue{Outcome: helper.Blocked},
		Last:     &helper.Result{Outcome: helper.Blocked, Error: name},
	}
	for range 700 {
		w := helper.Writer{Path: name, Program: name[:255], User: name[:32]}
		want.Overdue.Writers, want.Last.Writers = append(want.Overdue.Writers, w), append(want.Last.Writers, w)
	}
	check := func(when string) {
		t.Helper()
		if err := Write(dir, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(dir)
		if err != nil || !reflect.DeepEqual(got.Window, want.Window) || !reflect.DeepEqual(got.Deadline, want.Deadline) || got.Overdue == nil || got.Last == nil {
			t.Errorf("%s: Read() = %.500v, %v", when, got, err)
		}
	}
	check("unbounded")
	bound.Result(want.Last)
	bound.Overdue(want.Overdue)
	check("bounded")
	if got, _ := Read(dir); len(got.Overdue.Writers) != bound.MaxWriters || got.Overdue.MoreWriters != 700-bound.MaxWriters || len(got.Last.Writers) != bound.MaxWriters {
		t.Errorf("of the writers there are kept %d, and %d more", len(got.Overdue.Writers), got.Overdue.MoreWriters)
	}
}

// Better the old state than one that nobody can read.
func TestWriteRefusesWhatReadRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, example()); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, State{Window: &helper.Window{Reason: strings.Repeat("x", maxSize)}}); err == nil || !strings.HasPrefix(err.Error(), "cannot write the state file: it would be larger than") {
		t.Errorf("Write() = %v", err)
	}
	if got, err := Read(dir); err != nil || !reflect.DeepEqual(got, example()) {
		t.Errorf("Read() = %+v, %v", got, err)
	}
}

// A directory in its place, which no file can replace, is put aside with what is in it.
func TestWriteInThePlaceOfADirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, statedir.StateFile, "something"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, example()); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(dir); err != nil || !reflect.DeepEqual(got, example()) {
		t.Errorf("Read() = %+v, %v", got, err)
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, statedir.StateFile+".*", "something")); len(kept) != 1 {
		t.Error("what was in it is gone")
	}
}

func TestWriteIntoNothing(t *testing.T) {
	if err := Write(filepath.Join(t.TempDir(), "absent"), State{}); err == nil || !strings.HasPrefix(err.Error(), "cannot write the state file") {
		t.Errorf("Write() = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []State{{}, example()} {
		data, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"window":{"since":"2026-11-23T13:30:00+01:00","until":null,"uid":4294967295,"user":"\ud800"},"last":null}`))
	f.Add([]byte(`{"last":{"status":{"paths":[{"subvolume_id":-1}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("what was parsed can't be written: %v", err)
		}
		if _, err := Parse(bytes.NewReader(again)); err != nil {
			t.Errorf("what was written can't be parsed: %v: %s", err, again)
		}
	})
}
