package tray

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/run/records"
	"immutray.org/packaging/testbed/lab"
)

func TestCommandsAtWork(t *testing.T) {
	apt := helper.Run{Command: []string{"/usr/bin/apt\n", "upgrade"}, PID: 4711}
	vi := helper.Run{Command: []string{"vi"}, PID: 4712}
	lentTo := func(runs ...helper.Run) Report {
		r := Report{Status: helper.Status{Paths: []helper.PathStatus{path("/", helper.Writable, helper.ReadOnly)}}}
		r.Status.SetRuns(runs)
		return r
	}
	wide := unlockedAt
	wide.Status.SetRuns([]helper.Run{{Command: []string{"apt"}, SystemWide: true}})
	for name, test := range map[string]struct {
		report Report
		want   string
	}{
		"one": {lentTo(apt), `
immutray-locked | Locked: only apt\n can write, until it ends
(Locked)
(Only apt\n can write, until it ends.)
(/: locked (property writable, mount read-only))
---
Unlock for 15 minutes…
`},
		"two": {lentTo(apt, vi), `
immutray-locked | Locked: only apt\n (and 1 more) can write, until it ends
`},
		"system-wide": {wide, `
immutray-unlocked | Unlocked for 23 min by rrs: locks when apt has ended
(Unlocked for 23 min by rrs)
(Locks when apt has ended.)
(/: unlocked (property writable, mount writable))
`},
	} {
		got := Build(Snapshot{Now: testNow, Report: test.report, Snooze: time.Hour}).text()
		if want := strings.TrimPrefix(test.want, "\n"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: shown is\n%swhich should begin\n%s", name, got, want)
		}
	}
	busy := Snapshot{Now: testNow, Report: unlockedAt, Trouble: &Trouble{Busy: &helper.Busy{Manager: helper.RunManager, Program: "vi"}}}
	if text := Build(busy).text(); !strings.Contains(text, "\n(vi is running with write access)\nLock when it is done\n") {
		t.Errorf("a lock that waits for a command is shown as\n%s", text)
	}
}

// The end of a command that a lock waits for is seen from its record.
func TestACommandIsAtWorkUntilItsEnd(t *testing.T) {
	if os.Geteuid() != 0 {
		lab.Unavailable(t, "root is needed to record a command")
	}
	s := newSystem(t, "/etc")
	record, err := records.Put(filepath.Dir(s.Config.File), helper.Run{ID: "r", PID: 4711, Command: []string{"vi"}, SystemWide: true})
	if err != nil {
		t.Fatal(err)
	}
	vi := helper.Busy{Manager: helper.RunManager, PID: 4711}
	if !s.IsAtWork(vi) || s.IsAtWork(helper.Busy{Manager: helper.RunManager, PID: 1}) {
		t.Error("the command is not at work, or another is")
	}
	record.Close()
	if s.IsAtWork(vi) {
		t.Error("it is at work after its end")
	}
}
