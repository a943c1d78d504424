package notify

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"immutray.org/helper"
)

// noon is when the texts of these tests are read.
var noon = time.Date(2026, 3, 4, 14, 30, 0, 0, time.UTC)

func status(state helper.State, window *helper.Window, paths ...helper.PathStatus) helper.Status {
	return helper.Status{State: state, Paths: paths, Window: window}
}

func path(p string, state helper.State) helper.PathStatus {
	return helper.PathStatus{Path: p, State: state}
}

func both(state helper.State) []helper.PathStatus {
	return []helper.PathStatus{path("/", state), path("/etc", state)}
}

func window(ago time.Duration, user string) *helper.Window {
	return &helper.Window{Since: noon.Add(-ago), UID: 1000, User: user}
}

func until(w *helper.Window, in time.Duration) *helper.Window {
	t := noon.Add(in)
	w.Until = &t
	return w
}

func TestReminder(t *testing.T) {
	const (
		unlocked = "System unlocked"
		partly   = "System partly locked"
	)
	because := window(5*time.Minute, "rrs")
	because.Reason = "new kernel\nand more"
	for _, tt := range []struct {
		name          string
		status        helper.Status
		summary, body string
	}{
		{
			"unlocked",
			status(helper.Unlocked, window(23*time.Minute, "rrs"), both(helper.Unlocked)...),
			unlocked, "Unlocked for 23 min by rrs, since 14:07.",
		}, {
			"for days, by a user without a name",
			status(helper.Unlocked, window(75*time.Hour, ""), both(helper.Unlocked)...),
			unlocked, "Unlocked for 3 days by user 1000, since Sun 11:30.",
		}, {
			"for a time",
			status(helper.Unlocked, until(window(23*time.Minute, "rrs"), time.Hour), both(helper.Unlocked)...),
			unlocked, "Unlocked for 23 min by rrs, since 14:07.\nIt locks by itself at 15:30.",
		}, {
			"for too long",
			status(helper.Unlocked, until(window(2*time.Hour, "rrs"), -time.Hour), both(helper.Unlocked)...),
			unlocked, "Unlocked for 2 h by rrs, since 12:30.\nIt should have locked by itself at 13:30.",
		}, {
			"with a reason",
			status(helper.Unlocked, because, both(helper.Unlocked)...),
			unlocked, "Unlocked for 5 min by rrs, since 14:25.\n" + `Reason: new kernel\nand more`,
		}, {
			"by hand",
			status(helper.Unlocked, nil, both(helper.Unlocked)...),
			unlocked, "There is no record of who unlocked it, or when.",
		}, {
			"one path only",
			status(helper.Unlocked, window(5*time.Minute, "rrs"), path("/", helper.Locked), path("/etc", helper.Unlocked)),
			unlocked, "/etc is writable.\nUnlocked for 5 min by rrs, since 14:25.",
		}, {
			"one path open, one unreadable",
			status(helper.Unlocked, nil, path("/", helper.Unlocked), path("/etc", helper.Unknown)),
			unlocked, "/ is writable.\nThe state of /etc is unknown.\nThere is no record of who unlocked it, or when.",
		}, {
			"open mounts, as the classic script leaves them",
			status(helper.PartlyLocked, nil, both(helper.OpenMount)...),
			partly, "Programs with open files can still write to / and /etc.\nThere is no record of who unlocked it, or when.",
		}, {
			"mount only",
			status(helper.PartlyLocked, window(5*time.Minute, "rrs"), path("/", helper.Locked), path("/etc", helper.MountOnly)),
			partly, "/etc is read-only, but one remount makes it writable.\nLast unlocked by rrs at 14:25, 5 min ago.",
		}, {
			"many paths",
			status(helper.Unlocked, nil, path("/a", helper.Unlocked), path("/b", helper.Unlocked), path("/c", helper.Unlocked),
				path("/d", helper.Unlocked), path("/e", helper.Unlocked), path("/", helper.Locked)),
			unlocked, "/a, /b, /c and 2 more are writable.\nThere is no record of who unlocked it, or when.",
		}, {
			"a path with a line break",
			status(helper.Unlocked, nil, path("/a\nb", helper.Unlocked), path("/", helper.Locked)),
			unlocked, `/a\nb is writable.` + "\nThere is no record of who unlocked it, or when.",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := Reminder(tt.status, noon, 90*time.Minute, "an-icon")
			if n.Summary != tt.summary {
				t.Errorf("Summary = %q, want %q", n.Summary, tt.summary)
			}
			if n.Body != tt.body {
				t.Errorf("Body = %q, want %q", n.Body, tt.body)
			}
			if n.Urgency != Critical || n.Icon != "an-icon" || n.Transient || !n.Resident {
				t.Errorf("Reminder() = %+v, want critical, resident, with the icon", n)
			}
			want := []Action{{"lock", "Lock now"}, {"snooze", "Remind me in 1 h 30 min"}}
			if fmt.Sprint(n.Actions) != fmt.Sprint(want) {
				t.Errorf("Actions = %v, want %v", n.Actions, want)
			}
			if n.Command != "To lock, run: immutectl lock" {
				t.Errorf("Command = %q", n.Command)
			}
		})
	}
}

func TestFeedback(t *testing.T) {
	for _, tt := range []struct {
		name          string
		status        helper.Status
		summary, body string
	}{
		{"locked", status(helper.Locked, nil, both(helper.Locked)...), "Locked", "The operating system is read-only."},
		{"unlocked", status(helper.Unlocked, window(0, "rrs"), both(helper.Unlocked)...), "Unlocked", "The operating system can be changed."},
		{"unlocked for a time", status(helper.Unlocked, until(window(0, "rrs"), 15*time.Minute), both(helper.Unlocked)...), "Unlocked until 14:45", "The operating system can be changed."},
		{"unlocked in part", status(helper.Unlocked, window(0, "rrs"), path("/", helper.Locked), path("/etc", helper.Unlocked)), "Unlocked", "/etc is writable."},
		{"partly locked", status(helper.PartlyLocked, nil, path("/", helper.Locked), path("/etc", helper.OpenMount)), "Partly locked", "Programs with open files can still write to /etc."},
		{"unknown", status(helper.Unknown, nil), "Unknown", "Immutray cannot read the state of the operating system."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := Feedback(tt.status, noon, "an-icon")
			if n.Summary != tt.summary || n.Body != tt.body {
				t.Errorf("Feedback() = %q, %q, want %q, %q", n.Summary, n.Body, tt.summary, tt.body)
			}
			if n.Urgency != Normal || !n.Transient || n.Expire != feedbackTime || n.Icon != "an-icon" || len(n.Actions) != 0 {
				t.Errorf("Feedback() = %+v, want normal, transient, short", n)
			}
		})
	}
}

func TestBlocked(t *testing.T) {
	file := func(pid int, program, unit, path string) helper.Writer {
		return helper.Writer{Kind: helper.WriterFile, PID: pid, Program: program, Unit: unit, Path: path}
	}
	const start = "Close these, then lock again:\n"
	for _, tt := range []struct {
		name    string
		writers []helper.Writer
		body    string
	}{
		{"unknown programs", nil, "Immutray cannot tell which program has them open. Close programs, then lock again."},
		{"a program", []helper.Writer{file(7, "vim", "", "/etc/fstab")}, start + "vim is writing to /etc/fstab"},
		{"a service of the same name", []helper.Writer{file(7, "cupsd", "cupsd.service", "/etc/cups/printers.conf")}, start + "cupsd is writing to /etc/cups/printers.conf"},
		{"a service", []helper.Writer{file(7, "cupsd", "cups.service", "/etc/cups/printers.conf")}, start + "cupsd (cups.service) is writing to /etc/cups/printers.conf"},
		{"no name", []helper.Writer{file(7, "", "", "/etc/fstab")}, start + "Process 7 is writing to /etc/fstab"},
		{"two files", []helper.Writer{file(7, "vim", "", "/a"), file(7, "vim", "", "/b")}, start + "vim is writing to /a and 1 more file"},
		{"three files", []helper.Writer{file(7, "vim", "", "/a"), file(8, "ed", "", "/x"), file(7, "vim", "", "/b"), file(7, "vim", "", "/c")}, start + "vim is writing to /a and 2 more files\ned is writing to /x"},
		{"mapping", []helper.Writer{{Kind: helper.WriterMapping, PID: 9, Program: "sqlite3", Path: "/etc/a.db"}}, start + "sqlite3 is writing to /etc/a.db"},
		{"loop device", []helper.Writer{{Kind: helper.WriterLoop, Device: "/dev/loop3", Path: "/srv/disk.img"}}, start + "/dev/loop3 is backed by /srv/disk.img"},
		{"swap and loop", []helper.Writer{{Kind: helper.WriterSwap, Path: "/swapfile"}, {Kind: helper.WriterLoop, Device: "/dev/loop3", Path: "/srv/disk.img"}}, start + "Swap file /swapfile\n/dev/loop3 is backed by /srv/disk.img"},
		{"one that hangs", []helper.Writer{{Kind: helper.WriterUnknown, PID: 7, Program: "sleep", User: "eve"}}, start + "sleep, process 7 of eve, cannot be inspected and may be writing"},
		{"four", []helper.Writer{file(1, "a", "", "/1"), file(2, "b", "", "/2"), file(3, "c", "", "/3"), file(4, "d", "", "/4")}, start + "a is writing to /1\nb is writing to /2\nc is writing to /3\nd is writing to /4"},
		{"six", []helper.Writer{file(1, "a", "", "/1"), file(2, "b", "", "/2"), file(3, "c", "", "/3"), file(4, "d", "", "/4"), file(5, "e", "", "/5"), file(6, "f", "", "/6")}, start + "a is writing to /1\nb is writing to /2\nc is writing to /3\nand 3 more"},
		{"names that cheat", []helper.Writer{file(7, "ev\x1bil\n", "", "/etc/\xff\nClose")}, start + `ev\x1bil\n is writing to /etc/\xff\nClose`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := Blocked(tt.writers, 0, "an-icon")
			if n.Body != tt.body {
				t.Errorf("Body = %q, want %q", n.Body, tt.body)
			}
			if n.Summary != "Not locked: files in use" || n.Urgency != Critical || n.Icon != "an-icon" {
				t.Errorf("Blocked() = %+v", n)
			}
		})
	}
}

func TestRequestFailed(t *testing.T) {
	refused := errors.New("cannot read /etc/immutray/config.toml: writable by others")
	for _, tt := range []struct {
		name          string
		verb          helper.Verb
		hint          string
		summary, body string
	}{
		{"lock", helper.Lock, "", "Locking failed", "Cannot read /etc/immutray/config.toml: writable by others."},
		{"unlock, with a hint", helper.Unlock, "run: chmod 644 /etc/immutray/config.toml", "Unlocking failed",
			"Cannot read /etc/immutray/config.toml: writable by others.\nRun: chmod 644 /etc/immutray/config.toml"},
		{"another verb", helper.Seal, "", "Request failed", "Cannot read /etc/immutray/config.toml: writable by others."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := RequestFailed(tt.verb, refused, tt.hint, "an-icon")
			if n.Summary != tt.summary || n.Body != tt.body || n.Urgency != Normal {
				t.Errorf("RequestFailed() = %+v, want %q, %q", n, tt.summary, tt.body)
			}
		})
	}
	t.Run("bounded", func(t *testing.T) {
		n := RequestFailed(helper.Lock, errors.New(strings.Repeat("very ", 1000)), strings.Repeat("long\xff\n", 1000), "")
		if got := utf8.RuneCountInString(n.Body); got > 2*maxText+5 || !utf8.ValidString(n.Body) {
			t.Errorf("Body has %d characters: %q", got, n.Body)
		}
	})
}

// xfce4-notifyd cuts a summary off after 28 characters.
func TestSummariesAreShort(t *testing.T) {
	late := until(window(0, "rrs"), 5*24*time.Hour)
	for _, n := range []Notification{
		Reminder(status(helper.Unlocked, nil), noon, time.Hour, ""),
		Reminder(status(helper.PartlyLocked, nil), noon, time.Hour, ""),
		Feedback(status(helper.Unlocked, late), noon, ""),
		Feedback(status(helper.PartlyLocked, nil), noon, ""),
		Blocked(nil, 0, ""),
		Overdue(helper.Overdue{Outcome: helper.Blocked}, ""),
		Overdue(helper.Overdue{Outcome: helper.Failed, Error: "x"}, ""),
		Overdue(helper.Overdue{Outcome: helper.PackageManager, Busy: &helper.Busy{Program: "apt"}}, ""),
		LockAnyway(nil, 0, ""),
		Installing(helper.Busy{Program: "apt"}, ""),
		LocksWhenDone(helper.Busy{Program: "apt"}, ""),
		Ending(noon.Add(5*time.Minute), noon, ""),
		RequestFailed(helper.Unlock, errors.New("x"), "", ""),
		RequestFailed(helper.Seal, errors.New("x"), "", ""),
	} {
		if len(n.Summary) > 26 {
			t.Errorf("the summary %q has %d characters", n.Summary, len(n.Summary))
		}
	}
}
