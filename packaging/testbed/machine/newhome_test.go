package machine

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

// newHome is what useradd -m makes where each person's home is a subvolume of its own.
const newHome = "/home/carol"

// needsSubvolume is what is said of it then.
const needsSubvolume = newHome + " needs a subvolume of its own"

// A new user on a sealed machine keeps nothing from locking: no command, no end of a
// window, no boot. Each says what the home needs, and the one command that it takes.
func newUser(t *testing.T, v *vm) {
	unlock(t, v) // the windows before this have ended
	must(t, v.as(root), "systemctl --quiet enable immutability-seal.service immutability-unseal.service")
	lock(t, v)
	const command = `"sudo immutectl island ` + newHome + `"`
	out := must(t, v.as(root), "immutectl run -- useradd --create-home carol 2>&1")
	if !strings.Contains(out, needsSubvolume) || !strings.Contains(out, command) {
		t.Errorf("after useradd the command says %q", out)
	}
	expectState(t, v, helper.Locked)
	must(t, v.as(root), "immutectl run -- ldconfig")

	openWindow(t, v)
	if out, err := v.as(root).run("immutectl lock 2>&1"); codeOf(err) != helper.ExitNotPrepared || !strings.Contains(out, newHome) {
		t.Errorf("a person's own lock ended with %v: %s", err, out)
	}
	expectClosed(t, v, windowLength)
	expectRecord(t, v, outcome, needsSubvolume)

	unlock(t, v)
	check(t, v.shutDown())
	check(t, v.start(textMode))
	check(t, v.waitForLogin())
	expectState(t, v, helper.Locked)
	expectRecord(t, v, outcome, "seal for root: done, the system is locked; "+needsSubvolume)
	expectNothingFailed(t, v)

	// What the words say, on the locked system.
	_, err := v.as(root).runFor(bootTime, nil, "immutectl island "+newHome)
	check(t, err)
	expectState(t, v, helper.Locked)
	must(t, v.as(root), "runuser --user carol -- sh -c 'test -s ~/.profile && echo works >~/file'")
	if out := must(t, v.as(root), "immutectl run -- true 2>&1"); out != "" {
		t.Errorf("with a subvolume of its own there, a command says %q", out)
	}
	// As the next boot mounts it.
	must(t, v.as(root), "umount "+newHome+" && ! test -e "+newHome+"/file && mount "+newHome+" && grep --quiet works "+newHome+"/file")
}

// What a person plugs in is mounted below /media, which Debian's udisks2 makes a directory
// in for each.
func diskIsPluggedIn(t *testing.T, v *vm) {
	lock(t, v)
	must(t, v.as(root), `modprobe loop && truncate --size 8M /root/stick.img && /sbin/mkfs.ext4 -q -L stick /root/stick.img
device=$(udisksctl loop-setup --no-user-interaction --file /root/stick.img | grep --only-matching '/dev/loop[0-9]*')
timeout 60 sh -c "until udisksctl mount --no-user-interaction --block-device $device 2>/run/udisks.err; do sleep 1; done" || { cat /run/udisks.err; exit 1; }
findmnt --noheadings --output TARGET --source $device | grep '^/media/' && touch "$(findmnt --noheadings --output TARGET --source $device)/file"
udisksctl unmount --no-user-interaction --block-device $device`)
	expectState(t, v, helper.Locked)
}
