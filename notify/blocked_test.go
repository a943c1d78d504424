package notify

import (
	"testing"

	"immutray.org/helper"
)

func TestWhatKeepsTheSystemFromBeingLocked(t *testing.T) {
	vim := helper.Writer{Kind: helper.WriterFile, PID: 7, Program: "vim", Path: "/etc/fstab"}
	apt := helper.Busy{Manager: "dpkg", Program: "apt"}
	for name, test := range map[string]struct {
		n       Notification
		summary string
		body    string
		urgency Urgency
		actions int
	}{
		"overdue": {Overdue(helper.Overdue{Outcome: helper.Blocked, Writers: []helper.Writer{vim}}, "i"),
			"Not locked yet: files open", "The system locks when these are closed:\nvim is writing to /etc/fstab", Critical, 2},
		"overdue because of unknown programs": {Overdue(helper.Overdue{Outcome: helper.Blocked}, "i"),
			"Not locked yet: files open", "Immutray cannot tell which program has them open. The system locks when they are closed.", Critical, 2},
		"overdue by a package manager": {Overdue(helper.Overdue{Outcome: helper.PackageManager, Busy: &apt}, "i"),
			"apt is installing packages", "The time is over. The system locks when this is done.", Normal, 0},
		"overdue by more than are listed": {Overdue(helper.Overdue{Outcome: helper.Blocked, Writers: []helper.Writer{vim}, MoreWriters: 688}, "i"),
			"Not locked yet: files open", "The system locks when these are closed:\nvim is writing to /etc/fstab\nand 688 more", Critical, 2},
		"overdue and broken": {Overdue(helper.Overdue{Outcome: helper.Failed, Error: "cannot\nlock"}, "i"),
			"Not locked yet", "Cannot\\nlock.\nImmutray keeps trying.", Critical, 1},
		"what is read-only too": {Frozen([]string{`/home/bob needs a subvolume of its own; run "x"`, "/home/e\x1b is"}, "i"),
			"Some directories are read-only", "/home/bob needs a subvolume of its own; run \"x\"\n/home/e\\x1b is", Normal, 0},
		"the question": {LockAnyway([]helper.Writer{vim}, 0, "i"),
			"Lock anyway?", "These may crash or lose unsaved data:\nvim is writing to /etc/fstab", Critical, 2},
		"the question about unknown programs": {LockAnyway(nil, 0, "i"),
			"Lock anyway?", "Unknown programs may crash or lose unsaved data.", Critical, 2},
		"a package manager": {Installing(apt, "i"),
			"apt is installing packages", "Locking now would leave packages half installed.", Normal, 1},
		"a command with write access": {Installing(helper.Busy{Manager: helper.RunManager, Program: "vi"}, "i"),
			"vi is running with write access", "Locking now would leave its work half done.", Normal, 1},
		"one whose program is not known": {Installing(helper.Busy{Manager: "pacman"}, "i"),
			"pacman is installing packages", "Locking now would leave packages half installed.", Normal, 1},
		"the wait for it": {LocksWhenDone(helper.Busy{Program: "e\x1bvil"}, "i"),
			`Locks when e\x1bvil is done`, "", Normal, 1},
	} {
		if test.n.Summary != test.summary || test.n.Body != test.body || test.n.Urgency != test.urgency || len(test.n.Actions) != test.actions || test.n.Icon != "i" {
			t.Errorf("%s: %+v", name, test.n)
		}
	}
}
