package tray

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/history"
	"immutray.org/helper/journal"
)

var update = flag.Bool("update", false, "write testdata/build.golden instead of comparing with it")

var (
	testNow  = time.Date(2026, 3, 4, 14, 7, 0, 0, time.UTC)
	lockedAt = report{Status: helper.Status{State: helper.Locked, Paths: []helper.PathStatus{
		path("/", helper.ReadOnly, helper.ReadOnly), path("/etc", helper.ReadOnly, helper.ReadOnly),
	}}}
	unlockedAt = report{Status: helper.Status{
		State:  helper.Unlocked,
		Paths:  []helper.PathStatus{path("/", helper.Writable, helper.Writable), path("/etc", helper.Writable, helper.Writable)},
		Window: &helper.Window{Since: testNow.Add(-23 * time.Minute), UID: 1000, User: "rrs"},
	}}
	partlyAt = report{Status: helper.Status{
		State:  helper.PartlyLocked,
		Paths:  []helper.PathStatus{path("/", helper.ReadOnly, helper.ReadOnly), path("/etc", helper.ReadOnly, helper.Writable)},
		Window: &helper.Window{Since: testNow.Add(-23 * time.Minute), UID: 1000, User: "rrs"},
	}}
)

func path(name string, property, mount helper.Flag) helper.PathStatus {
	return helper.PathStatus{
		Path: name, Filesystem: "btrfs", Property: property, Mount: mount, Superblock: helper.Writable,
		State: helper.PathState(property, mount, helper.Writable),
	}
}

// text draws a model: an entry a line, what can't be chosen in parentheses.
func (m model) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s | %s", m.Icon, m.Tooltip)
	if m.Urgent {
		b.WriteString(" | needs attention")
	}
	b.WriteString("\n")
	drawItems(&b, m.Menu, "")
	return b.String()
}

func drawItems(b *strings.Builder, items []item, indent string) {
	for _, item := range items {
		switch {
		case item.Separator:
			b.WriteString(indent + "---\n")
		case item.Disabled:
			fmt.Fprintf(b, "%s(%s)\n", indent, item.Label)
		default:
			fmt.Fprintf(b, "%s%s\n", indent, item.Label)
		}
		drawItems(b, item.Children, indent+"  > ")
	}
}

// A situation is a state to be shown. What it looks like is in testdata/build.golden.
type situation struct {
	name     string
	snapshot snapshot
}

// TestBuild compares what the tray shows in each situation, and the notification of what
// keeps the system from being locked, with testdata/build.golden. After a change of words
// or entries run "go test ./tray -run TestBuild -update", and read the difference.
func TestBuild(t *testing.T) {
	const file = "testdata/build.golden"
	var got strings.Builder
	for _, situations := range [][]situation{states(), notReadyMachines(), obstacles(), runs(), leftBehindPrograms(), pasts()} {
		for _, now := range situations {
			s := now.snapshot
			s.Now, s.Snooze = testNow, time.Hour
			fmt.Fprintf(&got, "# %s\n%s", now.name, build(s).text())
			if n := obstacleNote(s); n != nil {
				fmt.Fprintf(&got, "notification: %s", n.Summary)
				for _, a := range n.Actions {
					fmt.Fprintf(&got, " [%s]", a.Label)
				}
				got.WriteString("\n")
			}
			got.WriteString("\n")
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	shown, wanted := strings.Split(got.String(), "\n\n"), strings.Split(string(want), "\n\n")
	for i := range max(len(shown), len(wanted)) {
		switch {
		case i >= len(shown):
			t.Errorf("not shown any more:\n%s", wanted[i])
		case i >= len(wanted):
			t.Errorf("not in %s:\n%s", file, shown[i])
		case shown[i] != wanted[i]:
			t.Errorf("shown is\n%s\nwant\n%s", shown[i], wanted[i])
		}
	}
}

func states() []situation {
	until, late := testNow.Add(23*time.Minute), testNow.Add(-2*time.Minute)
	limited, over, byHand := unlockedAt, unlockedAt, unlockedAt
	limited.Status.Window = &helper.Window{Since: testNow.Add(-2 * time.Hour), Until: &until, UID: 1000, User: "rrs"}
	over.Status.Window = &helper.Window{Since: testNow.Add(time.Minute), Until: &late, UID: 1000}
	byHand.Status.Window = nil
	return []situation{
		{"nothing is known yet", snapshot{}},
		{"locked", snapshot{Report: lockedAt}},
		{"locked, with a limit", snapshot{Report: report{Status: lockedAt.Status, UnlockMax: 30 * time.Minute}}},
		{"waiting for the password", snapshot{Report: lockedAt, Asked: helper.Unlock}},
		{"unlocked", snapshot{Report: unlockedAt}},
		{"unlocked for a limited time", snapshot{Report: limited}},
		{"unlocked, with a limit", snapshot{Report: report{Status: limited.Status, UnlockMax: time.Hour}}},
		{"the time is over, the clock was set back, the user has no name", snapshot{Report: over}},
		{"unlocked by hand, reminders off", snapshot{Report: byHand, RemindersOff: testNow.Add(23 * time.Minute)}},
		{"locking", snapshot{Report: unlockedAt, Asked: helper.Lock}},
		{"partly locked", snapshot{Report: partlyAt}},
		{"every word of a layer", snapshot{Report: report{Status: helper.Status{State: helper.PartlyLocked, Paths: []helper.PathStatus{
			path("/a", helper.Writable, helper.ReadOnly),
			{Path: "/b", Property: helper.Writable, Mount: helper.Writable, Superblock: helper.ReadOnly, State: helper.MountOnly},
			{Path: "/c", Property: helper.NoFlag, Mount: helper.ReadOnly, Superblock: helper.Writable, State: helper.Locked},
			{Path: "/d_\n\x1b\xff", State: helper.Unknown},
		}}}}},
		{"a path can't be read", snapshot{Report: report{Status: helper.Status{State: helper.Unknown, Paths: []helper.PathStatus{
			path("/", helper.ReadOnly, helper.ReadOnly), {Path: "/etc", State: helper.Unknown, Error: "cannot open \"/etc\": permission denied"},
		}}}}},
		{"failed", snapshot{Report: lockedAt, obstacle: obstacle{Failure: &failure{
			Verb: helper.Unlock, Err: errors.New("cannot get authorization: there is no program here that can ask for the password"),
			Hint: `Start the polkit agent of your desktop.`,
		}}}},
	}
}

func notReadyMachines() []situation {
	refused := []string{"cannot use /etc/immutray/config.toml: line 3: unknown key pahts; did you mean paths?"}
	unprepared := []string{`cannot protect "/etc": it is not a mount point`, "no subvolume of its own: /home"}
	return []situation{
		{"configuration refused", snapshot{Report: report{Status: helper.Status{State: helper.Unknown}, NotReady: refused}}},
		{"not prepared", snapshot{Report: report{NotReady: unprepared, Status: helper.Status{State: helper.Unlocked, Paths: []helper.PathStatus{
			path("/", helper.NoFlag, helper.Writable), {Path: "/etc", State: helper.Unknown},
		}}}}},
		{"not prepared, but unlocked by a request", snapshot{Report: report{NotReady: unprepared, Status: unlockedAt.Status}}},
		{"not prepared, but locked", snapshot{Report: report{NotReady: unprepared, Status: lockedAt.Status}}},
		{"locked, with what should be writable", snapshot{Report: report{
			NotReady: unprepared, Status: lockedAt.Status, Frozen: []string{"/home/bob needs a subvolume of its own"},
		}}},
		{"unlocked, with what should be writable", snapshot{Report: report{Status: unlockedAt.Status, Frozen: []string{"/home/bob"}}}},
	}
}

func obstacles() []situation {
	blocked := &failure{Verb: helper.Lock, Blocked: true, Err: errors.New("cannot lock: busy"), Hint: "Close them.", Writers: []helper.Writer{
		{Kind: helper.WriterFile, PID: 4242, Program: "vim", Path: "/etc/fstab"},
		{Kind: helper.WriterMapping, PID: 7, Program: "", Path: "/etc/a\nb"},
		{Kind: helper.WriterLoop, Device: "/dev/loop3", Path: "/srv/image"},
		{Kind: helper.WriterSwap, Path: "/swapfile"},
	}}
	busyWith := func(b *helper.Busy) obstacle {
		return obstacle{Failure: &failure{Verb: helper.Lock, Err: errors.New("busy"), Busy: b}}
	}
	hanging := helper.Writer{Kind: helper.WriterUnknown, PID: 7, Program: "sleep", User: "eve"}
	forced, lost := overdue(blockedBy(vim)), overdue(blockedBy(vim))
	forced.Status.State, forced.Status.Paths = helper.PartlyLocked, partlyAt.Status.Paths
	lost.Status.Window = nil
	return []situation{
		{"blocked by writers", snapshot{Report: unlockedAt, obstacle: obstacle{Failure: blocked}}},
		{"blocked by unknown writers", snapshot{Report: unlockedAt, obstacle: obstacle{Failure: &failure{
			Verb: helper.Lock, Blocked: true, Err: errors.New("cannot lock: / is in use"), Hint: "Close programs.",
		}}}},
		{"the end of the window waits for a program", snapshot{Report: overdue(blockedBy(vim))}},
		{"for several", snapshot{Report: overdue(blockedBy(vim, vim, vim))}},
		{"for a swap file", snapshot{Report: overdue(blockedBy(helper.Writer{Kind: helper.WriterSwap, Path: "/swap"}))}},
		{"for one that hangs", snapshot{Report: overdue(blockedBy(hanging))}},
		{"for unknown programs", snapshot{Report: overdue(blockedBy())}},
		{"for a package manager", snapshot{Report: overdue(&helper.Overdue{Outcome: helper.PackageManager, Busy: apt})}},
		{"for something else", snapshot{Report: overdue(&helper.Overdue{Outcome: helper.Failed, Error: "cannot set the property: i/o error"})}},
		{"a window whose record was lost", snapshot{Report: lost}},
		{"the write access of a run that could not be ended", snapshot{Report: notEnded}},
		{"both the window and a request are blocked", snapshot{Report: overdue(blockedBy(vim)), obstacle: obstacle{Failure: blocked}}},
		{"a request while the window is overdue", snapshot{Report: overdue(blockedBy(vim)), Asked: helper.Lock}},
		{"locked by force", snapshot{Report: forced}},
		{"the question", snapshot{Report: overdue(blockedBy(vim, vim, helper.Writer{PID: 7, Program: "ed"})), obstacle: obstacle{Sure: true}}},
		{"the question about unknown programs", snapshot{Report: overdue(blockedBy()), obstacle: obstacle{Sure: true}}},
		{"the password for it", snapshot{Report: overdue(blockedBy(vim)), Asked: helper.LockForce}},
		{"a package manager is busy", snapshot{Report: unlockedAt, obstacle: busyWith(apt)}},
		{"one whose program is unknown", snapshot{Report: unlockedAt, obstacle: busyWith(&helper.Busy{Manager: "rpm"})}},
		{"a run is busy", snapshot{Report: unlockedAt, obstacle: busyWith(&helper.Busy{Manager: helper.RunManager, Program: "vi"})}},
		{"its end is waited for", snapshot{Report: unlockedAt, obstacle: obstacle{Awaited: apt}}},
	}
}

func runs() []situation {
	upgrade := helper.Run{Command: []string{"/usr/bin/apt\n", "upgrade"}, PID: 4711}
	vi := helper.Run{Command: []string{"vi"}, PID: 4712}
	with := func(runs ...helper.Run) report {
		r := report{Status: helper.Status{Paths: []helper.PathStatus{path("/", helper.Writable, helper.ReadOnly)}}}
		r.Status.SetRuns(runs)
		return r
	}
	wide := unlockedAt
	wide.Status.SetRuns([]helper.Run{{Command: []string{"apt"}, SystemWide: true}})
	return []situation{
		{"a run", snapshot{Report: with(upgrade)}},
		{"two runs", snapshot{Report: with(upgrade, vi)}},
		{"a system-wide run", snapshot{Report: wide}},
	}
}

func leftBehindPrograms() []situation {
	all := leftBehind(unlockedAt, "cups.service", "NetworkManager.service", "systemd-timedated.service")
	return []situation{
		{"all programs that are left behind can be restarted", snapshot{Report: all}},
		{"there is one", snapshot{Report: leftBehind(unlockedAt, "cups.service")}},
		{"some can be restarted", snapshot{Report: leftBehind(unlockedAt, "cups.service", "gdm.service", "session-1.scope")}},
		{"none can be restarted", snapshot{Report: leftBehind(unlockedAt, "dbus.service", "user@1000.service")}},
		{"they are being restarted", snapshot{Report: all, Restarting: true}},
		{"a lock is under way", snapshot{Report: all, Asked: helper.Lock}},
		{"above what keeps it from being locked", snapshot{Report: all, obstacle: obstacle{Failure: &failure{
			Verb: helper.Lock, Blocked: true, Err: errors.New("cannot lock: busy"), Writers: []helper.Writer{vim},
		}}}},
		{"the restart failed", snapshot{Report: all, obstacle: obstacle{Failure: &failure{
			Restart: true, Err: errors.New("cannot restart cups.service: why"), Hint: "Do it.",
		}}}},
	}
}

func pasts() []situation {
	crashed := pastWindow(testNow.AddDate(0, 0, -1), "rrs", "", history.Crash, time.Hour)
	crashed.Sealed = true
	ran := pastWindow(testNow.Add(-5*time.Hour), "root", "", history.Command, 5*time.Minute)
	ran.Command = "apt upgrade"
	return []situation{
		{"no history", snapshot{Report: lockedAt, Past: &past{}}},
		{"a history", snapshot{Report: lockedAt, Past: &past{Past: history.Past{Windows: []history.Window{
			pastWindow(testNow.Add(-23*time.Minute), "rrs", "new kernel", history.Open, 0),
			pastWindow(testNow.Add(-2*time.Hour), "rrs", "", history.Person, 42*time.Minute),
			crashed,
			pastWindow(testNow.AddDate(0, 0, -2), "r\ns", "a\u202eb", history.Timer, time.Hour),
			pastWindow(testNow.AddDate(0, -2, 0), "", strings.Repeat("why ", 50), "comet", 0),
			ran,
		}}}}},
		{"wrong settings", snapshot{Report: lockedAt, Faults: []string{
			"line 2: unknown key clik; did you mean click?", "line 5: snooze: the value must be in quotes",
		}}},
		{"a history without the journal", snapshot{Report: lockedAt, Past: &past{Past: history.Past{
			Windows: []history.Window{pastWindow(testNow.Add(-2*time.Hour), "rrs", "", history.Person, 42*time.Minute)},
			Unread:  journal.ErrNotAllowed,
		}}}},
		{"no history without the journal", snapshot{Report: lockedAt, Past: &past{Past: history.Past{Unread: journal.ErrMissing}}}},
		{"a history that may not be read", snapshot{Report: lockedAt, Past: &past{
			Err: fmt.Errorf("cannot read the history: %w", journal.ErrNotAllowed), Hint: client.Hint(journal.ErrNotAllowed),
		}}},
	}
}
