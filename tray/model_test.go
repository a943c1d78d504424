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
	testNow  = time.Date(2026, 3, 4, 14, 7, 0, 0, time.UTC)
	lockedAt = Report{Status: helper.Status{State: helper.Locked, Paths: []helper.PathStatus{
		path("/", helper.ReadOnly, helper.ReadOnly), path("/etc", helper.ReadOnly, helper.ReadOnly),
	}}}
	unlockedAt = Report{Status: helper.Status{
		State:  helper.Unlocked,
		Paths:  []helper.PathStatus{path("/", helper.Writable, helper.Writable), path("/etc", helper.Writable, helper.Writable)},
		Window: &helper.Window{Since: testNow.Add(-23 * time.Minute), UID: 1000, User: "rrs"},
	}}
	partlyAt = Report{Status: helper.Status{
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
func (m Model) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s | %s\n", m.Icon, m.Tooltip)
	drawItems(&b, m.Menu, "")
	return b.String()
}

func drawItems(b *strings.Builder, items []Item, indent string) {
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

func TestBuild(t *testing.T) {
	until := testNow.Add(23 * time.Minute)
	past := testNow.Add(-2 * time.Minute)
	limited, late := unlockedAt, unlockedAt
	limited.Status.Window = &helper.Window{Since: testNow.Add(-2 * time.Hour), Until: &until, UID: 1000, User: "rrs"}
	late.Status.Window = &helper.Window{Since: testNow.Add(time.Minute), Until: &past, UID: 1000}
	byHand := unlockedAt
	byHand.Status.Window = nil
	blocked := &Trouble{Verb: helper.Lock, Blocked: true, Err: errors.New("cannot lock: busy"), Hint: "Close them.", Writers: []helper.Writer{
		{Kind: helper.WriterFile, PID: 4242, Program: "vim", Path: "/etc/fstab"},
		{Kind: helper.WriterMapping, PID: 7, Program: "", Path: "/etc/a\nb"},
		{Kind: helper.WriterLoop, Device: "/dev/loop3", Path: "/srv/image"},
		{Kind: helper.WriterSwap, Path: "/swapfile"},
	}}
	testBuild(t, []buildTest{
		{"locked", Snapshot{Report: lockedAt}, `
immutray-locked | Locked
(Locked)
(/: locked (property read-only, mount read-only))
(/etc: locked (property read-only, mount read-only))
---
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
---
About Immutray
Quit
`},
		{"unlocked", Snapshot{Report: unlockedAt}, `
immutray-unlocked | Unlocked for 23 min by rrs
(Unlocked for 23 min by rrs)
(/: unlocked (property writable, mount writable))
(/etc: unlocked (property writable, mount writable))
---
Lock now
Lock in 15 minutes…
Lock in 1 hour…
Remind me in 1 hour
---
About Immutray
Quit
`},
		{"unlocked for a limited time", Snapshot{Report: limited}, `
immutray-unlocked | Unlocked for 2 h by rrs, locks at 14:30
(Unlocked for 2 h by rrs, locks at 14:30)
(/: unlocked (property writable, mount writable))
(/etc: unlocked (property writable, mount writable))
---
Lock now
Lock in 15 minutes…
Lock in 1 hour…
Stay unlocked until I lock it…
Remind me in 1 hour
---
About Immutray
Quit
`},
		{"the time is over, the clock was set back, the user has no name", Snapshot{Report: late}, `
immutray-unlocked | Unlocked for less than 1 min by user 1000, should have locked at 14:05
(Unlocked for less than 1 min by user 1000, should have locked at 14:05)
(/: unlocked (property writable, mount writable))
(/etc: unlocked (property writable, mount writable))
---
Lock now
Lock in 15 minutes…
Lock in 1 hour…
Stay unlocked until I lock it…
Remind me in 1 hour
---
About Immutray
Quit
`},
		{"unlocked by hand, reminders off", Snapshot{Report: byHand, RemindersOff: testNow.Add(23 * time.Minute)}, `
immutray-unlocked | Unlocked
(Unlocked)
(/: unlocked (property writable, mount writable))
(/etc: unlocked (property writable, mount writable))
---
Lock now
Lock in 15 minutes…
Lock in 1 hour…
(Reminders off until 14:30)
Turn reminders on again
---
About Immutray
Quit
`},
		{"partly locked", Snapshot{Report: partlyAt}, `
immutray-partly-locked | Partly locked: /etc: open mount
(Partly locked)
(/: locked (property read-only, mount read-only))
(/etc: open mount (property read-only, mount writable))
---
Lock now
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
Remind me in 1 hour
---
About Immutray
Quit
`},
		{"every word of a layer", Snapshot{Report: Report{Status: helper.Status{State: helper.PartlyLocked, Paths: []helper.PathStatus{
			path("/a", helper.Writable, helper.ReadOnly),
			{Path: "/b", Property: helper.Writable, Mount: helper.Writable, Superblock: helper.ReadOnly, State: helper.MountOnly},
			{Path: "/c", Property: helper.NoFlag, Mount: helper.ReadOnly, Superblock: helper.Writable, State: helper.Locked},
			{Path: "/d_\n\x1b\xff", State: helper.Unknown},
		}}}}, `
immutray-partly-locked | Partly locked: /a: mount only
(Partly locked)
(/a: mount only (property writable, mount read-only))
(/b: mount only (property writable, mount writable, file system read-only))
(/c: locked (mount read-only))
(/d_\n\x1b\xff: unknown)
---
Lock now
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
Remind me in 1 hour
---
About Immutray
Quit
`},
		{"waiting for the password", Snapshot{Report: lockedAt, Asked: helper.Unlock}, `
immutray-working | Waiting for the password…
(Waiting for the password…)
(/: locked (property read-only, mount read-only))
(/etc: locked (property read-only, mount read-only))
---
(Unlock for 15 minutes…)
(Unlock for 1 hour…)
(Unlock until I lock it…)
---
About Immutray
Quit
`},
		{"locked, with a limit", Snapshot{Report: Report{Status: lockedAt.Status, UnlockMax: 30 * time.Minute}}, `
immutray-locked | Locked
(Locked)
(/: locked (property read-only, mount read-only))
(/etc: locked (property read-only, mount read-only))
---
Unlock for 15 minutes…
(Unlock for 1 hour…)
(Unlock until I lock it…)
---
About Immutray
Quit
`},
		{"unlocked, with a limit", Snapshot{Report: Report{Status: limited.Status, UnlockMax: time.Hour}}, `
immutray-unlocked | Unlocked for 2 h by rrs, locks at 14:30
(Unlocked for 2 h by rrs, locks at 14:30)
(/: unlocked (property writable, mount writable))
(/etc: unlocked (property writable, mount writable))
---
Lock now
Lock in 15 minutes…
Lock in 1 hour…
(Stay unlocked until I lock it…)
Remind me in 1 hour
---
About Immutray
Quit
`},
		{"locking", Snapshot{Report: unlockedAt, Asked: helper.Lock}, `
immutray-working | Locking…
(Locking…)
(/: unlocked (property writable, mount writable))
(/etc: unlocked (property writable, mount writable))
---
(Lock now)
(Lock in 15 minutes…)
(Lock in 1 hour…)
Remind me in 1 hour
---
About Immutray
Quit
`},
		{"blocked by writers", Snapshot{Report: unlockedAt, Trouble: blocked}, `
immutray-unlocked | Unlocked for 23 min by rrs
(Unlocked for 23 min by rrs)
(/: unlocked (property writable, mount writable))
(/etc: unlocked (property writable, mount writable))
---
Lock now
Lock in 15 minutes…
Lock in 1 hour…
Remind me in 1 hour
Who is writing…
  > (vim (4242): /etc/fstab)
  > (process (7): /etc/a\nb)
  > (/dev/loop3 is backed by /srv/image)
  > (swap file /swapfile)
Lock anyway…
---
About Immutray
Quit
`},
		{"blocked by nobody knows whom", Snapshot{Report: unlockedAt, Trouble: &Trouble{
			Verb: helper.Lock, Blocked: true, Err: errors.New("cannot lock: / is in use"), Hint: "Close programs.",
		}}, `
immutray-unlocked | Unlocked for 23 min by rrs
(Unlocked for 23 min by rrs)
(/: unlocked (property writable, mount writable))
(/etc: unlocked (property writable, mount writable))
---
Lock now
Lock in 15 minutes…
Lock in 1 hour…
Remind me in 1 hour
Lock anyway…
What went wrong…
  > (Cannot lock: / is in use.)
  > (Close programs.)
---
About Immutray
Quit
`},
		{"failed", Snapshot{Report: lockedAt, Trouble: &Trouble{
			Verb: helper.Unlock, Err: errors.New("cannot get authorization: there is no program here that can ask for the password"),
			Hint: `Start the polkit agent of your desktop.`,
		}}, `
immutray-locked | Locked
(Locked)
(/: locked (property read-only, mount read-only))
(/etc: locked (property read-only, mount read-only))
---
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
What went wrong…
  > (Cannot get authorization: there is no program here that can)
  > (ask for the password.)
  > (Start the polkit agent of your desktop.)
---
About Immutray
Quit
`},
		{"nothing is known yet", Snapshot{}, `
immutray-unknown | Unknown
(Unknown)
---
Lock now
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
---
About Immutray
Quit
`},
		{"a path can't be read", Snapshot{Report: Report{Status: helper.Status{State: helper.Unknown, Paths: []helper.PathStatus{
			path("/", helper.ReadOnly, helper.ReadOnly), {Path: "/etc", State: helper.Unknown, Error: "cannot open \"/etc\": permission denied"},
		}}}}, `
immutray-unknown | Unknown: cannot open "/etc": permission denied
(Unknown)
(Cannot open "/etc": permission denied.)
(/: locked (property read-only, mount read-only))
(/etc: unknown)
---
Lock now
Unlock for 15 minutes…
Unlock for 1 hour…
Unlock until I lock it…
---
About Immutray
Quit
`},
	})
}

type buildTest struct {
	name     string
	snapshot Snapshot
	want     string
}

func testBuild(t *testing.T, tests []buildTest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := test.snapshot
			s.Now, s.Snooze = testNow, time.Hour
			if got := Build(s).text(); got != strings.TrimPrefix(test.want, "\n") {
				t.Errorf("Build() =\n%s\nwant%s", got, test.want)
			}
		})
	}
}
