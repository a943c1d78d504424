package machine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

const (
	sealUnit   = "immutability-seal.service"
	unsealUnit = "immutability-unseal.service"
)

func TestSeal(t *testing.T) { onEverySuite(t, seal) }

// Whatever the state it was left in, and however it was switched off, a boot seals the
// system, unless the kernel's command line has the word rw.
func seal(t *testing.T, suite string) {
	v := newInstalled(t, suite)
	prepareReboots(t, v)
	if !t.Run("update", func(t *testing.T) { installUpdate(t, v) }) {
		return
	}

	boots := []bootCase{updated, leftLockedRW}
	if suite == everything {
		boots = append(boots, withExtension(leftUnlocked(3))...)
		boots = append(boots, lost()...)
		boots = append(boots, powerCuts()...)
	} else {
		boots = append(boots, leftUnlocked(2)...)
	}
	for _, boot := range boots {
		ok := t.Run(boot.name, func(t *testing.T) {
			r := bootOnce(t, v, strings.Fields(boot.words)...)
			boot.expect(t, r)
			t.Logf("services before the seal: %q", r.early)
		})
		if !ok {
			return
		}
	}
}

// A bootCase is a boot with words for reboots.sh and the kernel. It finds the system as
// the case before left it.
type bootCase struct {
	name, words string
	expect      func(*testing.T, bootReport)
}

// leftLockedRW finds the system locked, and leaves it unlocked.
var leftLockedRW = bootCase{"left locked, rw", "rw" + leftOut + noHistory, func(t *testing.T, r bootReport) {
	if !slices.Equal(r.seal, sealSkipped) || r.status.State != helper.Unlocked || len(r.written) != 2 {
		t.Errorf("the seal is %q, and the system %s, want it skipped and unlocked", r.seal, r.status.State)
	}
	if w := r.status.Window; w == nil || w.User != root {
		t.Errorf("the window is %+v, want it root's", w)
	}
	r.expectGood(t, "")
}}

// sealed expects that the system came up locked, and was left so.
func sealed(left string) func(*testing.T, bootReport) {
	return func(t *testing.T, r bootReport) {
		r.expectSealed(t)
		r.expectGood(t, left)
	}
}

// leftUnlocked are that many boots in a row.
func leftUnlocked(boots int) []bootCase {
	cases := make([]bootCase, boots)
	for i := range cases {
		cases[i] = bootCase{fmt.Sprintf("left unlocked %d", i+1), "leave=unlocked", sealed("unlocked")}
		if i > 0 {
			cases[i].words += leftOut + noHistory
		}
	}
	// Words that are not rw.
	for i, word := range []string{"rw=1", "foo=rw", "rootflags=subvol=/ROOTVOL,rw"} {
		if last := boots - 1 - i; last >= 0 {
			cases[last].name += ", " + word
			cases[last].words += " " + word
		}
	}
	return cases
}

// withExtension has systemd lay a configuration extension over /etc in the last of the boots.
// The seal comes first, and what is below stays locked.
func withExtension(boots []bootCase) []bootCase {
	last := len(boots) - 1
	boots[last-1].words += " prepare=extension"
	expect := boots[last].expect
	boots[last].expect = func(t *testing.T, r bootReport) {
		expect(t, r)
		if etc := r.status.Paths[1]; !r.extension || etc.OnTop != "overlay" || etc.Filesystem != "btrfs" {
			t.Errorf("there is an extension over /etc: %v, and it is %+v", r.extension, etc)
		}
	}
	return boots
}

// lost are boots that are sealed, hang and are switched off, as many as are borne, and one
// more: it comes up unlocked, and counting starts again. The first finds the system unlocked.
func lost() []bootCase {
	var cases []bootCase
	for i := range 3 {
		cases = append(cases, bootCase{fmt.Sprintf("hangs, power cut %d", i+1), "cut=boot" + leftOut + noHistory, func(t *testing.T, r bootReport) {
			r.expectSealed(t)
			if r.halfway != "in the boot" || len(r.failed) > 0 || len(r.trouble) > 0 {
				t.Errorf("stopped at %q, want in the boot; units failed: %q; trouble: %q", r.halfway, r.failed, r.trouble)
			}
		}})
	}
	return append(cases, bootCase{"after three that were lost", leftOut + noHistory, func(t *testing.T, r bootReport) {
		if !slices.Equal(r.seal, sealSkipped) || r.status.State != helper.Unlocked || len(r.written) != 2 {
			t.Errorf("the seal is %q, and the system %s, want it skipped and unlocked", r.seal, r.status.State)
		}
		const reason = "thelast3bootsdidnotcomeup" // reboots.sh takes the blanks out
		if w := r.status.Window; w == nil || w.User != root || w.Reason != reason {
			t.Errorf("the window is %+v, want it root's, with the reason", w)
		}
		r.expectGood(t, "")
	}})
}

// powerCuts find the system unlocked.
func powerCuts() []bootCase {
	// cut expects a boot that was sealed and ended with a power cut in the middle of a
	// change, with these mount flags on / and /etc, or of a window.
	cut := func(flags string) func(*testing.T, bootReport) {
		return func(t *testing.T, r bootReport) {
			r.expectSealed(t)
			if r.halfway != flags || len(r.failed) > 0 || len(r.trouble) > 0 {
				t.Errorf("stopped in the middle at %q, want %q; units failed: %q; trouble: %q", r.halfway, flags, r.failed, r.trouble)
			}
		}
	}
	return []bootCase{
		{"left unlocked, power cut in a lock", "leave=unlocked cut=lock" + leftOut, cut("ro rw")},
		{"after that, power cut in an unlock", "cut=unlock" + leftOut, cut("rw ro")},
		{"after that, power cut in a window", "cut=window prepare=cut" + leftOut, cut("in a window")},
		{"power cut in the seal", "cut=seal" + leftOut, func(t *testing.T, r bootReport) {
			if r.halfway != "ro rw" || r.seal != nil || len(r.trouble) > 0 {
				t.Errorf("want a seal that was stopped in the middle: %+v", r)
			}
		}},
		{"after that", "tell=history" + leftOut, func(t *testing.T, r bootReport) {
			sealed("")(t, r)
			expectCrash(t, r.history)
		}},
	}
}

// expectCrash fails unless the last window, which was root's for an hour, ended with the
// power, and was closed by a seal.
func expectCrash(t *testing.T, windows []pastWindow) {
	t.Helper()
	if len(windows) != 1 {
		t.Fatalf("the history has %d windows, want the last one", len(windows))
	}
	w := windows[0]
	if w.End != "crash" || !w.Sealed || w.User != root || w.Reason != "new kernel" || w.Until == nil || w.Until.Sub(w.Since).Round(time.Minute) != time.Hour {
		t.Errorf("the history has %+v, want root's window of an hour, sealed after a crash", w)
	}
	if w.Ended == nil || w.LastedSeconds > int64(bootTime/time.Second) {
		t.Errorf("it ended at %v after %d s, want that known, and how short it was", w.Ended, w.LastedSeconds)
	}
}

// property returns a property of a unit.
func property(t *testing.T, v *vm, unit, name string) string {
	t.Helper()
	return strings.TrimSpace(must(t, v.as(root), "systemctl show --value --property="+name+" "+unit))
}
