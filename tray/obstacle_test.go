package tray

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

var (
	vim       = helper.Writer{Kind: helper.WriterFile, PID: 4242, Program: "vim", Path: "/etc/fstab"}
	apt       = &helper.Busy{Manager: "dpkg", Lock: "/var/lib/dpkg/lock-frontend", PID: 99, Program: "apt"}
	blockedBy = func(writers ...helper.Writer) *helper.Overdue {
		return &helper.Overdue{Outcome: helper.Blocked, Error: "cannot lock: busy", Writers: writers}
	}
)

// overdue is a window that should have ended three minutes ago.
func overdue(o *helper.Overdue) Report {
	r := unlockedAt
	until := testNow.Add(-3 * time.Minute)
	w := *r.Status.Window
	w.Until = &until
	r.Status.Window, r.Status.Overdue = &w, o
	return r
}

// unknownWindow is one whose record was lost.
func unknownWindow(o *helper.Overdue) Report {
	r := overdue(o)
	r.Status.Window = nil
	return r
}

// notTakenBack is the end of a command whose write access could not be taken back yet.
var notTakenBack = Report{Status: helper.Status{
	State:   helper.PartlyLocked,
	Paths:   []helper.PathStatus{{Path: "/", State: helper.MountOnly, Property: helper.Writable, Mount: helper.ReadOnly}},
	Overdue: &helper.Overdue{Outcome: helper.Failed, Error: "cannot lock \"/\": cannot set the property: i/o error"},
}}

func TestBuildWithWhatIsInTheWay(t *testing.T) {
	const late = "immutray-unlocked | Unlocked for 23 min by rrs, should have locked at 14:04: "
	tests := []struct {
		name     string
		snapshot Snapshot
		want     []string // lines of the picture, in this order
	}{
		{"the end of the window waits for a program", Snapshot{Report: overdue(blockedBy(vim))}, []string{
			late + "waits for vim, which is writing to /etc/fstab",
			"(Unlocked for 23 min by rrs, should have locked at 14:04)",
			"(Waits for vim, which is writing to /etc/fstab.)",
			"Lock now", "Who is writing…", "  > (vim (4242): /etc/fstab)", "Lock anyway…"}},
		{"for several", Snapshot{Report: overdue(blockedBy(vim, vim, vim))}, []string{
			late + "waits for vim, which is writing to /etc/fstab (and 2 more)"}},
		{"for a swap file", Snapshot{Report: overdue(blockedBy(helper.Writer{Kind: helper.WriterSwap, Path: "/swap"}))}, []string{
			"(Waits for swap file /swap.)"}},
		{"for one that hangs", Snapshot{Report: overdue(blockedBy(helper.Writer{Kind: helper.WriterUnknown, PID: 7, Program: "sleep", User: "eve"}))}, []string{
			late + "waits for sleep (7), which cannot be inspected", "  > (sleep (7, eve): cannot be inspected)", "Lock anyway…"}},
		{"for nobody that can be seen", Snapshot{Report: overdue(blockedBy())}, []string{
			late + "waits for an unknown program", "Lock anyway…"}},
		{"for a package manager", Snapshot{Report: overdue(&helper.Overdue{Outcome: helper.PackageManager, Busy: apt})}, []string{
			late + "waits for apt, which is installing packages", "(Waits for apt, which is installing packages.)"}},
		{"for something else", Snapshot{Report: overdue(&helper.Overdue{Outcome: helper.Failed, Error: "cannot set the property: i/o error"})}, []string{
			"(Cannot set the property: i/o error.)"}},
		{"a window that nobody knows of any more", Snapshot{Report: unknownWindow(blockedBy(vim))}, []string{
			"immutray-unlocked | Unlocked: waits for vim, which is writing to /etc/fstab", "(Waits for vim, which is writing to /etc/fstab.)", "Lock anyway…"}},
		{"what was lent", Snapshot{Report: notTakenBack}, []string{
			"immutray-partly-locked | Partly locked: cannot lock \"/\": cannot set the property: i/o error", "(Cannot lock \"/\": cannot set the property: i/o error.)"}},
		{"the question", Snapshot{Report: overdue(blockedBy(vim, vim, helper.Writer{PID: 7, Program: "ed"})), Sure: true}, []string{
			"Who is writing…", "Lock anyway: vim and 1 more may crash or lose data…", "Do not lock anyway"}},
		{"the question of nobody", Snapshot{Report: overdue(blockedBy()), Sure: true}, []string{
			"Lock anyway: programs may crash or lose data…"}},
		{"the password for it", Snapshot{Report: overdue(blockedBy(vim)), Asked: helper.LockForce}, []string{
			"immutray-working | Waiting for the password…", "(Lock anyway…)"}},
		{"a package manager is at work", Snapshot{Report: unlockedAt, Trouble: &Trouble{Verb: helper.Lock, Err: errors.New("busy"), Busy: apt}}, []string{
			"Lock now", "(apt is installing packages)", "Lock when it is done"}},
		{"one of unknown program", Snapshot{Report: unlockedAt, Trouble: &Trouble{Verb: helper.Lock, Err: errors.New("busy"), Busy: &helper.Busy{Manager: "rpm"}}}, []string{
			"(rpm is installing packages)"}},
		{"its end is waited for", Snapshot{Report: unlockedAt, Awaited: apt}, []string{
			"(Locks when apt is done)", "Don't lock when it's done"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := test.snapshot
			s.Now, s.Snooze = testNow, time.Hour
			rest := Build(s).text()
			for _, line := range test.want {
				var found bool
				if _, rest, found = strings.Cut("\n"+rest, "\n"+line+"\n"); !found {
					t.Fatalf("no line %q in its place in\n%s", line, Build(s).text())
				}
			}
			if text := Build(s).text(); strings.Contains(text, "What went wrong") {
				t.Errorf("the same is said twice:\n%s", text)
			}
		})
	}
}

func TestLockedHasNothingInTheWay(t *testing.T) {
	s := Snapshot{Report: lockedAt}
	if text := Build(s).text(); strings.Contains(text, "Lock") && strings.Contains(text, "anyway") || problem(s) != nil {
		t.Errorf("shown is %+v\n%s", problem(s), text)
	}
}

func TestProblem(t *testing.T) {
	forced := overdue(blockedBy(vim))
	forced.Status.State = helper.PartlyLocked
	forced.Status.Paths = partlyAt.Status.Paths
	unseen := &Trouble{Verb: helper.Lock, Err: errors.New("no"), Hint: "Do."}
	for name, test := range map[string]struct {
		snapshot Snapshot
		want     string // summary and buttons
	}{
		"nothing":                  {Snapshot{Report: unlockedAt}, ""},
		"overdue":                  {Snapshot{Report: overdue(blockedBy(vim))}, "Lock waits: files in use [retry force]"},
		"overdue, by a manager":    {Snapshot{Report: overdue(&helper.Overdue{Outcome: helper.PackageManager, Busy: apt})}, "apt is installing packages []"},
		"overdue, broken":          {Snapshot{Report: overdue(&helper.Overdue{Outcome: helper.Failed, Error: "x"})}, "Not locked yet [retry]"},
		"overdue, locked by force": {Snapshot{Report: forced}, ""},
		"a request under way":      {Snapshot{Report: overdue(blockedBy(vim)), Asked: helper.Lock}, ""},
		"blocked":                  {Snapshot{Report: unlockedAt, Trouble: &Trouble{Blocked: true}}, "Not locked: files in use [retry force]"},
		"both":                     {Snapshot{Report: overdue(blockedBy(vim)), Trouble: &Trouble{Blocked: true}}, "Not locked: files in use [retry force]"},
		"failed":                   {Snapshot{Report: unlockedAt, Trouble: unseen}, "Locking failed []"},
		"asked once more":          {Snapshot{Report: overdue(blockedBy(vim)), Sure: true}, "Lock anyway? [sure cancel]"},
		"at work":                  {Snapshot{Report: unlockedAt, Trouble: &Trouble{Busy: apt}}, "apt is installing packages [wait]"},
		"locked, but for what should be writable": {Snapshot{Report: Report{Status: lockedAt.Status, Frozen: []string{"/home/bob"}}}, "Some directories are read-only []"},
		"unlocked, with what should be writable":  {Snapshot{Report: Report{Status: unlockedAt.Status, Frozen: []string{"/home/bob"}}}, ""},
		"waiting":                                 {Snapshot{Report: unlockedAt, Awaited: apt}, "Locks when apt is done [cancel]"},
	} {
		got := ""
		if n := problem(test.snapshot); n != nil {
			keys := []string{}
			for _, a := range n.Actions {
				keys = append(keys, a.Key)
			}
			got = fmt.Sprint(n.Summary, " ", keys)
		}
		if got != test.want {
			t.Errorf("%s: told is %q, want %q", name, got, test.want)
		}
	}
}
