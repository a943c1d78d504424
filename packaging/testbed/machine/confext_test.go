package machine

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

// showCovered prints the state, whether /etc can be written to, and the property of its
// subvolume, which it reads through a mount of its own.
const showCovered = `immutectl status --json | sed -n 's/^  "state": "\(.*\)",$/\1/p'
{ : >/etc/.probe; } 2>/dev/null && rm /etc/.probe && echo works || echo fails
unshare --mount sh -c 'for _ in 1 2 3; do test "$(stat --file-system --format=%T /etc)" = btrfs || umount --lazy /etc; done; btrfs property get /etc ro'`

// expectCovered fails when the guest is in another state, or /etc and its subvolume are
// not as that state means.
func expectCovered(t *testing.T, v *vm, when string, state helper.State, layers string) {
	t.Helper()
	if got, want := must(t, v.as(root), showCovered), string(state)+"\n"+strings.ReplaceAll(layers, ", ", "\n")+"\n"; got != want {
		t.Errorf("%s: the state, writing to /etc and the property are\n%swant\n%s", when, got, want)
	}
}

// Configuration extensions lie over /etc, and systemd takes them off and puts them on again
// at will: what README says of that.
func configurationExtensions(t *testing.T, v *vm) {
	if _, err := v.as(root).run("command -v systemd-confext"); err != nil {
		t.Skip("this systemd has no configuration extensions")
	}
	const dir = "/var/lib/confexts/ours/etc"
	must(t, v.as(root), "mkdir -p "+dir+"/extension-release.d && echo ID=_any >"+dir+"/extension-release.d/extension-release.ours && echo it is there >"+dir+"/ours.conf")

	lock(t, v)
	must(t, v.as(root), "systemd-confext merge && grep --quiet 'it is there' /etc/ours.conf")
	expectCovered(t, v, "merged while locked", helper.Locked, "fails, ro=true")
	must(t, v.as(root), "immutectl is-locked && immutectl lock && systemd-confext refresh && immutectl is-locked")
	if out, err := v.as(other).run("immutectl is-locked"); codeOf(err) != helper.ExitFailed || !strings.Contains(out, "only root can") {
		t.Errorf("asked by a user whether it is locked below an extension: %v: %s", err, out)
	}
	if out, err := v.as(root).run("immutectl unlock"); codeOf(err) != helper.ExitFailed || !strings.Contains(out, `cannot unlock "/etc": what is mounted over it (overlay) is read-only: unmount that first`) {
		t.Errorf("unlock below an extension that can't be written to: %v: %s", err, out)
	}
	expectCovered(t, v, "after that", helper.Locked, "fails, ro=true")
	must(t, v.as(root), "systemd-confext unmerge")
	expectState(t, v, helper.Locked)

	// One that can be written to.
	const merge = "systemd-confext merge --mutable=yes"
	must(t, v.as(root), merge)
	expectCovered(t, v, "merged mutable while locked", helper.PartlyLocked, "works, ro=true")
	must(t, v.as(root), "immutectl lock")
	expectCovered(t, v, "merged mutable, locked", helper.Locked, "fails, ro=true")
	must(t, v.as(root), "systemd-confext refresh --mutable=yes")
	expectCovered(t, v, "merged again", helper.PartlyLocked, "works, ro=true")
	must(t, v.as(root), "immutectl unlock && useradd --no-create-home gone && id gone")
	expectCovered(t, v, "merged mutable, unlocked", helper.Unlocked, "works, ro=false")
	must(t, v.as(root), "immutectl lock && systemd-confext unmerge")
	expectState(t, v, helper.Locked)
	if out, err := v.as(root).run("id gone"); err == nil {
		t.Errorf("a user who was added below an extension is there without it: %s", out)
	}

	// Unlocked first.
	unlock(t, v)
	must(t, v.as(root), merge+" && id gone")
	expectCovered(t, v, "merged mutable while unlocked", helper.Unlocked, "works, ro=false")
	if out := must(t, v.as(root), "immutectl lock 2>&1"); !strings.Contains(out, "lock once more when that is unmounted") {
		t.Errorf("the mount below is out of reach, and lock says %q", out)
	}
	expectCovered(t, v, "merged mutable while unlocked, locked", helper.Locked, "fails, ro=true")
	must(t, v.as(root), "systemd-confext unmerge")
	expectCovered(t, v, "unmerged after a lock", helper.PartlyLocked, "fails, ro=true")
	lock(t, v)
	must(t, v.as(root), "rm -r /var/lib/confexts/ours /var/lib/extensions.mutable && { rmdir /var/lib/confexts 2>/dev/null || true; }")
}
