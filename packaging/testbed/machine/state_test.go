package machine

import (
	"fmt"
	"strings"
	"testing"

	"immutray.org/helper"
)

// showState prints the state, and a line for each protected path: its mount flag as PID 1
// sees it, its property, and whether it can be written to.
const showState = `immutectl status --json | sed -n 's/^  "state": "\(.*\)",$/\1/p'
for path in / /etc; do
	while read -r _ _ _ _ point options _; do
		test "$point" != $path || mount=${options%%,*}
	done </proc/1/mountinfo
	writing=fails
	{ : >$path/.probe; } 2>/dev/null && writing=works && rm $path/.probe
	echo $path $mount $(btrfs property get $path ro) $writing
done`

// expectState fails when the guest is in another state, or its layers are other than
// that state means.
func expectState(t *testing.T, v *vm, want helper.State) {
	t.Helper()
	layers := "rw ro=false works"
	if want == helper.Locked {
		layers = "ro ro=true fails"
	}
	lines := fmt.Sprintf("%s\n/ %[2]s\n/etc %[2]s\n", want, layers)
	if got := must(t, v.as(root), showState); got != lines {
		t.Fatalf("the state and the layers of the paths are\n%swant\n%s", got, lines)
	}
}

// lock and unlock bring the guest there as root does it, for what comes next.
func lock(t *testing.T, v *vm) {
	t.Helper()
	must(t, v.as(root), "immutectl lock")
	expectState(t, v, helper.Locked)
}

func unlock(t *testing.T, v *vm) {
	t.Helper()
	must(t, v.as(root), "immutectl unlock")
	expectState(t, v, helper.Unlocked)
}

// The kinds of records in the journal.
const (
	intent  = "6d3b0c7e1f5a4c0c9e3a2f7b8d41c960"
	outcome = "b1f2a94d7c3e4e58a6f0d5c29b7e8031"
)

// records returns the journal's records of a kind.
func records(t *testing.T, v *vm, messageID string) string {
	t.Helper()
	return must(t, v.as(root), "journalctl --sync; journalctl --boot --no-pager --output=cat MESSAGE_ID="+messageID)
}

func expectRecord(t *testing.T, v *vm, messageID, want string) {
	t.Helper()
	if got := records(t, v, messageID); !strings.Contains(got, want) {
		t.Errorf("the journal has no record %q: %s", want, got)
	}
}

// expectNothingFailed fails when a unit of the guest did.
func expectNothingFailed(t *testing.T, v *vm) {
	t.Helper()
	if failed := must(t, v.as(root), "systemctl --failed --no-legend --plain"); failed != "" {
		t.Errorf("units failed: %s", failed)
	}
}
