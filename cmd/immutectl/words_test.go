package main

import (
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// Mount points and programs may have names that JSON, and so the scripts, can't hold.
func TestNamesThatAreNotUTF8(t *testing.T) {
	s := helper.Status{State: helper.Unlocked, Paths: []helper.PathStatus{
		{Path: "/\xff", Property: helper.Writable, Mount: helper.Writable, State: helper.Unlocked},
	}}
	if got, want := stateText(s), "Unlocked: \"/\\xff\" is writable.\n"; got != want {
		t.Errorf("stateText = %q, want %q", got, want)
	}
	const status = `--- System Immutability Status ---
Path: "/\xff"
  - VFS Layer (Mount): rw
  - Btrfs Property:    ro=false
  - Effective State:   UNLOCKED (RW)

System: Unlocked
`
	if got := statusText(s, time.Time{}, palette{}, text.Clock{}); got != status {
		t.Errorf("statusText = %s, want %s", got, status)
	}
	const table = `PID  PROGRAM  USER  UNIT    PATH
7    "a\xff"  root  "\x80"  "/\xff/x"
`
	writers := []helper.Writer{{Kind: helper.WriterFile, PID: 7, Program: "a\xff", User: "root", Unit: "\x80", Path: "/\xff/x"}}
	if got := writersTable(writers, 0); got != table {
		t.Errorf("writersTable = %s, want %s", got, table)
	}
	if got, want := writersTable(writers, 688), table+"and 688 more\n"; got != want {
		t.Errorf("writersTable = %s, want %s", got, want)
	}
}

func TestWindowWords(t *testing.T) {
	since := time.Date(2025, 12, 14, 20, 51, 0, 0, time.Local)
	until := since.Add(30 * time.Minute)
	s := helper.Status{State: helper.Unlocked, Window: &helper.Window{Since: since, Until: &until, User: "rrs"}}
	for now, want := range map[time.Time]string{
		until.Add(-time.Second): " since 2025-12-14 20:51 by rrs, locks at 2025-12-14 21:21",
		until:                   " since 2025-12-14 20:51 by rrs, should have locked at 2025-12-14 21:21",
	} {
		if got := windowWords(s, now, text.Clock{}); got != want {
			t.Errorf("windowWords at %v = %q, want %q", now, got, want)
		}
	}
}
