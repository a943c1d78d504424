package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"immutray.org/helper"
)

// On a terminal one line is written anew, with the time that is left, and is gone in the
// end; where a line can't be, there is one for each change.
func TestProgressOnATerminal(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"status.json": `{}`,
		"pkexec": `#!/bin/sh
echo 'immutray-helper 1'
cat answer.json
cp done.json answer.json
`,
		"answer.json": `{"request": {"verb": "lock"}, "outcome": "blocked", "error": "busy", "writers": [{"kind": "file", "path": "/etc/` + strings.Repeat("long", 50) + `", "pid": 4242, "program": "vi\u001bm"}]}` + "\n",
		"done.json":   `{"request": {"verb": "lock"}, "outcome": "done", "status": {"state": "locked", "paths": [{"path": "/", "state": "locked"}], "window": null}}` + "\n",
	}
	for _, test := range []struct{ name, term, want string }{
		{"terminal", "xterm", `^(\rwaiting for "vi\\x1bm" \(pid 4242\), which is writing to .{10,20}…, [0-9ms]+ left\x1b\[K)+\r\x1b\[K$`},
		{"no terminal to go back on", "dumb", `^immutectl: notice: waiting for "vi\\x1bm" \(pid 4242\), which is writing to \S+\r\n$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			said := onTerminal(t, dir, []string{"TERM=" + test.term, "NO_COLOR=1", "PATH=" + dir + ":" + os.Getenv("PATH")}, "lock", "--wait", "1m")
			said, locked := strings.CutSuffix(said, "Locked: / is read-only.\r\n")
			if !locked || !regexp.MustCompile(test.want).MatchString(said) {
				t.Errorf("on the terminal: %q (locked: %t), want %q", said, locked, test.want)
			}
			for _, line := range strings.Split(said, "\r") {
				if n := len([]rune(strings.TrimSuffix(line, "\x1b[K"))); test.term == "xterm" && n > 79 {
					t.Errorf("a line has %d characters: %q", n, line)
				}
			}
		})
	}
}

func TestWaitingFor(t *testing.T) {
	for _, test := range []struct {
		holder   *helper.Busy
		writers  []helper.Writer
		want     string
		unlisted int
	}{
		{nil, nil, "waiting for an unknown program", 0},
		{&helper.Busy{Manager: "dpkg", Program: "apt"}, nil, "waiting for apt, which is installing packages", 0},
		{&helper.Busy{Manager: "pacman"}, nil, "waiting for pacman, which is installing packages", 0},
		{&helper.Busy{Manager: helper.RunManager, Program: "vi"}, nil, "waiting for vi, which is running with write access", 0},
		{nil, []helper.Writer{{Kind: helper.WriterFile, PID: 7, Path: "/x"}}, "waiting for a program (pid 7), which is writing to /x", 0},
		{nil, []helper.Writer{{Kind: helper.WriterLoop, Device: "/dev/loop3", Path: "/disk image"}}, `waiting for loop device /dev/loop3 on "/disk image"`, 0},
		{nil, []helper.Writer{{Kind: helper.WriterUnknown, PID: 7, Program: "sleep"}}, "waiting for sleep (pid 7), which cannot be inspected and may be writing", 0},
		{nil, []helper.Writer{{Kind: helper.WriterSwap, Path: "/swap"}, {}, {}}, "waiting for swap file /swap and 2 more", 0},
		{nil, []helper.Writer{{Kind: helper.WriterSwap, Path: "/swap"}, {}}, "waiting for swap file /swap and 689 more", 688},
	} {
		if got := waitingFor(test.holder, test.writers, test.unlisted); got != test.want {
			t.Errorf("waitingFor(%+v, %+v) = %q, want %q", test.holder, test.writers, got, test.want)
		}
	}
	o := &helper.Overdue{Outcome: helper.Failed, Error: "cannot lock: i/o error"}
	if got := overdueWords(o); got != "The system could not be locked: cannot lock: i/o error." {
		t.Errorf("overdueWords(%+v) = %q", o, got)
	}
}

func TestCountWithoutATerminal(t *testing.T) {
	var b strings.Builder
	p := progress{app: &app{stderr: &b, errorWidth: func() int { return 0 }}}
	p.count(", 1m0s left")
	p.say("waiting", ", 1m0s left")
	p.say("waiting", ", 1s left")
	p.count(", 1s left")
	p.clear()
	if got := b.String(); got != "immutectl: notice: waiting\n" {
		t.Errorf("said %q, want one line", got)
	}
}

// A lock that takes longer than a second says what it waits for, on a terminal.
func TestALockSaysWhatItWaitsFor(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"status.json":  `{}`,
		"writers.json": `[{"kind": "file", "path": "/etc/hosts", "pid": 152, "program": "tail"}]`,
		"pkexec": `#!/bin/sh
sleep 2.5
echo 'immutray-helper 1'
echo '{"request": {"verb": "lock"}, "outcome": "done", "status": {"state": "locked", "paths": [{"path": "/", "state": "locked"}], "window": null}}'
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	said := onTerminal(t, dir, []string{"TERM=xterm", "NO_COLOR=1", "PATH=" + dir + ":" + os.Getenv("PATH")}, "lock")
	const want = `^(\rwaiting for tail \(pid 152\), which is writing to /etc/hosts … [12] s\x1b\[K)+\r\x1b\[KLocked: / is read-only\.\r\n$`
	if !regexp.MustCompile(want).MatchString(said) {
		t.Errorf("on the terminal: %q, want %q", said, want)
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		words string
		want  string
	}{
		{"a b", "a b"},
		{"1234 6789 1234", "1234\n  6789\n  1234"},
		{"12345678901234567890 1", "12345678901234567890\n  1"},
		{"äöü äöü", "äöü äöü"},
		{`a run "b c".`, "a run\n  \"b c\"."},   // to be copied
		{`"a b c d e f"`, "\"a b c\n  d e f\""}, // too long for a line
		{`12" 34 5`, "12\" 34\n  5"},
		{"", ""},
	} {
		if got := wrap(test.words, 2, 10); got != test.want {
			t.Errorf("wrap(%q) = %q, want %q", test.words, got, test.want)
		}
	}
}
