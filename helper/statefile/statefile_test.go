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
)

func example() State {
	return State{
		Window: &helper.Window{Since: time.Unix(1_790_000_000, 0).UTC(), UID: 1000, User: "rrs"},
		Overdue: &helper.Overdue{
			Outcome: helper.PackageManager,
			Error:   "cannot lock: dpkg is at work",
			Holder:  &helper.LockHolder{Manager: "dpkg", Lock: "/var/lib/dpkg/lock", PID: 7, Program: "apt"},
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
	if got, err := Read(dir); err != nil || got != (State{}) {
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
	if info, err := os.Stat(filepath.Join(dir, Name)); err != nil || info.Mode() != 0o644 {
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
		if err := make(filepath.Join(dir, Name)); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(dir); err == nil || !strings.HasPrefix(err.Error(), "cannot read the state file") {
			t.Errorf("Read() of %s = %+v, %v", name, got, err)
		}
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
