package main

import (
	"testing"
	"time"

	"immutray.org/helper"
)

func TestQuote(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "/etc", "/etc"},
		{"root", "/", "/"},
		{"letters of any script", "/größe/データ", "/größe/データ"},
		{"backslash as systemd escapes", `mnt-my\x2ddisk.mount`, `mnt-my\x2ddisk.mount`},
		{"nothing", "", `""`},
		{"space", "/my disk", `"/my disk"`},
		{"quotation mark", `/a"b`, `"/a\"b"`},
		{"newline", "/a\nb", `"/a\nb"`},
		{"tab", "/a\tb", `"/a\tb"`},
		{"escape sequence", "/a\x1b[2J", `"/a\x1b[2J"`},
		{"control character of eight bits", "/a\u009b2J", `"/a\u009b2J"`},
		{"not UTF-8", "/a\xff\xfeb", `"/a\xff\xfeb"`},
		{"cut character", "/gr\xc3", `"/gr\xc3"`},
		{"writing turned round", "/a\u202etxt.exe", `"/a\u202etxt.exe"`},
		{"invisible", "/a\u200bb", `"/a\u200bb"`},
		{"space of another kind", "/a\u00a0b", `"/a\u00a0b"`},
		{"the replacement character itself", "/a\ufffdb", "/a\ufffdb"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := quote(test.in); got != test.want {
				t.Errorf("quote(%q) = %s, want %s", test.in, got, test.want)
			}
		})
	}
}

func TestSafe(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", `cannot lock "/my disk": busy`, `cannot lock "/my disk": busy`},
		{"newline", "one\nimmutectl: error: two", `one\nimmutectl: error: two`},
		{"escape sequence", "a\x1b[31mb", `a\x1b[31mb`},
		{"not UTF-8", "a\xffb", `a\xffb`},
		{"writing turned round", "a\u202eb", `a\u202eb`},
		{"letters of any script", "größe データ …", "größe データ …"},
		{"nothing", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := safe(test.in); got != test.want {
				t.Errorf("safe(%q) = %s, want %s", test.in, got, test.want)
			}
		})
	}
}

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
	if got := statusText(s, time.Time{}, palette{}); got != status {
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
		if got := windowWords(s, now); got != want {
			t.Errorf("windowWords at %v = %q, want %q", now, got, want)
		}
	}
}
