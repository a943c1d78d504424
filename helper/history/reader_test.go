package history

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/journal"
	"immutray.org/helper/recent"
)

// fakeJournal is a reader whose journalctl is a shell script, run in a directory where
// what it is asked is kept in the file asked.
func fakeJournal(t *testing.T, script string) (r *Reader, dir string) {
	t.Helper()
	dir = t.TempDir()
	program := filepath.Join(dir, "journalctl")
	text := "#!/bin/sh\nPATH=/usr/bin:/bin\ncd " + dir + "\necho \"$@\" >>asked\n" + script + "\n"
	for name, text := range map[string]string{program: text, filepath.Join(dir, "socket"): "", filepath.Join(dir, "boot_id"): "0a-0b\n"} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &Reader{Journalctl: program, StateDir: filepath.Join(dir, "state"), socket: filepath.Join(dir, "socket"), bootID: filepath.Join(dir, "boot_id")}, dir
}

func TestReadAsksForRootsRecordsOnly(t *testing.T) {
	r, dir := fakeJournal(t, "cat lines")
	if err := os.WriteFile(filepath.Join(dir, "lines"), []byte(line(map[string]any{"_BOOT_ID": "0a0b"})), 0o644); err != nil {
		t.Fatal(err)
	}
	past, err := r.Read(t.Context(), 5, helper.Status{State: helper.Unlocked})
	found := past.Windows
	if err != nil || past.Unread != nil || len(found) != 1 || found[0].Reason != "new kernel" || found[0].End != Open {
		t.Errorf("Read() = %+v, %v", found, err)
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	want := "--system --quiet --no-pager --output=json --output-fields=MESSAGE_ID,_UID,UNIT,IMMUTRAY_VERB,"
	if err != nil || !strings.HasPrefix(string(asked), want) || strings.Count(string(asked), "_UID=0 ") != 2 {
		t.Errorf("journalctl was asked %s, want %s… and for root's records alone", asked, want)
	}
}

// A system that root locks with another configuration has another history.
func TestReadOfAConfiguration(t *testing.T) {
	r, dir := fakeJournal(t, "cat lines")
	text := line(nil) + line(map[string]any{"IMMUTRAY_CONFIG": "/etc/other.toml", "IMMUTRAY_WINDOW_USER": "eve"}) + line(map[string]any{"MESSAGE_ID": shuttingDown})
	if err := os.WriteFile(filepath.Join(dir, "lines"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for config, user := range map[string]string{"": "rrs", "/etc/immutray/config.toml": "rrs", "/etc/other.toml": "eve", "/etc/third.toml": ""} {
		r.Config = config
		past, err := r.Read(t.Context(), 5, helper.Status{State: helper.Unlocked})
		found := past.Windows
		switch {
		case err != nil || user == "" && len(found) > 0:
			t.Errorf("Read(%q) = %+v, %v", config, found, err)
		case user != "" && (len(found) != 1 || found[0].User != user || found[0].End != Shutdown):
			t.Errorf("Read(%q) = %+v, want the window of %s, ended by the shutdown", config, found, user)
		}
	}
}

// Of a window that nothing ended, the end is the last that the journal has of its boot.
func TestReadAfterACrash(t *testing.T) {
	r, dir := fakeJournal(t, `case "$*" in *_BOOT_ID=0a) cat last;; *) cat lines;; esac`)
	last := line(map[string]any{"__REALTIME_TIMESTAMP": "1795437000000000", "__MONOTONIC_TIMESTAMP": "1860000000", "IMMUTRAY_BOOTTIME_USEC": nil})
	for name, text := range map[string]string{"lines": line(nil), "last": last} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func() Window {
		t.Helper()
		past, err := r.Read(t.Context(), 5, helper.Status{State: helper.Unlocked})
		found := past.Windows
		if err != nil || len(found) != 1 || found[0].End != Crash {
			t.Fatalf("Read() = %+v, %v", found, err)
		}
		return found[0]
	}
	if w := read(); w.Lasted != 30*time.Minute-time.Second && w.Lasted != 30*time.Minute {
		t.Errorf("it lasted %v, want half an hour", w.Lasted)
	}
	// That boot has left the journal in between.
	if err := os.Truncate(filepath.Join(dir, "last"), 0); err != nil {
		t.Fatal(err)
	}
	if w := read(); w.Lasted != 0 {
		t.Errorf("it lasted %v, want what the records say", w.Lasted)
	}
	if err := os.WriteFile(filepath.Join(dir, "last"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(t.Context(), 5, helper.Status{State: helper.Unlocked}); err == nil || !strings.HasPrefix(err.Error(), "cannot read the history: could not understand the journal: ") {
		t.Errorf("Read() of garbage: %v", err)
	}
}

// It reads on until it knows the windows that it was asked for, and no further.
func TestReadBoundsWhatItReads(t *testing.T) {
	r, dir := fakeJournal(t, `
for arg; do case $arg in --lines=*) n=${arg#--lines=};; esac; done
tail -n "${n:-1000000}" lines`)
	const count = 2000
	var text strings.Builder
	for i := range count {
		at := map[string]any{
			"__MONOTONIC_TIMESTAMP": fmt.Sprint(1000 * i), "_BOOT_ID": "0a0b", "IMMUTRAY_REQUEST": fmt.Sprint(i),
			// The first one is extended on and on.
			"IMMUTRAY_WINDOW_USER": "eve",
		}
		if i >= count-10 && i%2 == 1 {
			at["IMMUTRAY_STATE"], at["IMMUTRAY_VERB"] = "locked", "lock"
		}
		text.WriteString(line(at))
	}
	if err := os.WriteFile(filepath.Join(dir, "lines"), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		most, want int
		asked      string
	}{
		{1, 1, "220"}, {4, 4, "280"}, {5, 5, "300 3000"}, {9, 5, "380 3800"}, {0, 5, ""},
	} {
		if err := os.Remove(filepath.Join(dir, "asked")); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		past, err := r.Read(t.Context(), test.most, helper.Status{State: helper.Locked})
		if err != nil || len(past.Windows) != test.want {
			t.Errorf("Read(%d) = %d windows, %v, want %d", test.most, len(past.Windows), err, test.want)
		}
		asked, err := os.ReadFile(filepath.Join(dir, "asked"))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, word := range strings.Fields(string(asked)) {
			if n, ok := strings.CutPrefix(word, "--lines="); ok {
				lines = append(lines, n)
			}
		}
		if got := strings.Join(lines, " "); got != test.asked {
			t.Errorf("Read(%d) read %s lines, want %s", test.most, got, test.asked)
		}
	}
}

func TestReadFails(t *testing.T) {
	const prefix = "cannot read the history: "
	tests := []struct {
		name, script string
		is           error
		want         string
	}{
		{"damaged", "printf 'Failed to open files: Bad message\\nand more\\n' >&2; exit 1", nil, prefix + "journalctl: exit status 1: Failed to open files: Bad message"},
		{"other words", "echo -- No entries --", nil, prefix + "could not understand the journal: "},
		{"too much", "head -c 70000000 /dev/zero", nil, prefix + "the journal has too many records"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, _ := fakeJournal(t, test.script)
			_, err := r.Read(t.Context(), 5, helper.Status{State: helper.Locked})
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("Read(): %v, want %s", err, test.want)
			}
		})
	}
}

func TestReadWithoutAJournal(t *testing.T) {
	r, dir := fakeJournal(t, "")
	if past, err := r.Read(t.Context(), 5, helper.Status{State: helper.Locked}); err != nil || past.Unread != nil || len(past.Windows) > 0 {
		t.Errorf("Read() of an empty journal = %+v, %v", past, err)
	}
	if err := os.Remove(filepath.Join(dir, "socket")); err != nil {
		t.Fatal(err)
	}
	// With an open window, something must have been recorded.
	open := helper.Status{State: helper.Unlocked, Window: &helper.Window{}}
	if _, err := r.Read(t.Context(), 5, open); !errors.Is(err, journal.ErrMissing) {
		t.Errorf("Read() without a journal: %v", err)
	}
	if past, err := r.Read(t.Context(), 5, helper.Status{State: helper.Locked}); err != nil || !errors.Is(past.Unread, journal.ErrMissing) || len(past.Windows) > 0 {
		t.Errorf("Read() without a journal, after nothing = %+v, %v", past, err)
	}
	r.Journalctl = filepath.Join(dir, "missing")
	if _, err := r.Read(t.Context(), 5, open); !errors.Is(err, journal.ErrMissing) {
		t.Errorf("Read() without journalctl: %v", err)
	}
	r.bootID = filepath.Join(dir, "missing")
	if _, err := r.Read(t.Context(), 5, helper.Status{State: helper.Locked}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Read() without a boot id: %v", err)
	}
}

// Who may not read the journal sees what root has kept, and what the state says of it.
func TestReadWithoutTheRight(t *testing.T) {
	r, dir := fakeJournal(t, "echo No journal files were opened due to insufficient permissions. >&2; exit 1")
	boot, err := os.ReadFile(bootID)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "boot_id"), boot, 0o644); err != nil {
		t.Fatal(err)
	}
	keep := func(request string, state helper.State, change map[string]string) {
		t.Helper()
		fields := map[string]string{
			journal.Verb: "unlock", journal.Request: request, journal.State: string(state), journal.Cause: "person",
			journal.User: "rrs", journal.WindowSince: "2026-11-23T12:00:00Z", journal.WindowUser: "rrs",
		}
		maps.Copy(fields, change)
		if err := recent.Keep(r.StateDir, journal.Entry{MessageID: journal.Outcome, Fields: fields}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(most int, state helper.State) []Window {
		t.Helper()
		past, err := r.Read(t.Context(), most, helper.Status{State: state})
		if err != nil || !errors.Is(past.Unread, journal.ErrNotAllowed) {
			t.Fatalf("Read() = %+v, %v", past, err)
		}
		return past.Windows
	}
	keep("1", helper.Unlocked, nil)
	keep("2", helper.Locked, map[string]string{journal.Verb: "lock", journal.User: "eve"})
	keep("3", helper.Unlocked, map[string]string{journal.WindowUser: "bob"})
	keep("4", helper.Unlocked, map[string]string{journal.Config: "/etc/other.toml"})
	found := read(5, helper.Unlocked)
	if len(found) != 2 || found[0].User != "bob" || found[0].End != Open || found[1].End != Person || found[1].LockedBy != "eve" {
		t.Errorf("Read() = %+v", found)
	}
	if found := read(1, helper.Locked); len(found) != 1 || found[0].End != Unseen {
		t.Errorf("Read(1), locked by hand = %+v", found)
	}
}

func TestReadEnds(t *testing.T) {
	r, _ := fakeJournal(t, "exec sleep 1000")
	r.timeout = 50 * time.Millisecond
	if _, err := r.Read(t.Context(), 5, helper.Status{State: helper.Locked}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Read() of a journal that hangs: %v", err)
	}
	r.timeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Read(ctx, 5, helper.Status{State: helper.Locked}); !errors.Is(err, context.Canceled) {
		t.Errorf("Read() that nobody waits for: %v", err)
	}
}
