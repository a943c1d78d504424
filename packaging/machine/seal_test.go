//go:build machine

package machine

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

const sealUnit = "immutability-seal.service"

// property returns a property of a unit.
func property(t *testing.T, v *vm, unit, name string) string {
	t.Helper()
	return strings.TrimSpace(must(t, v.as(root), "systemctl show --value --property="+name+" "+unit))
}

// expectSealed fails unless the seal did its work at this boot, and before the system
// was initialized.
func expectSealed(t *testing.T, v *vm) {
	t.Helper()
	expectState(t, v, helper.Locked)
	if got := property(t, v, sealUnit, "Result"); got != "success" {
		t.Errorf("the seal ended with %s", got)
	}
	must(t, v.as(root), `test "$(systemctl show --value --property=InactiveExitTimestampMonotonic `+sealUnit+`)" -gt 0`)
	must(t, v.as(root), `test "$(systemctl show --value --property=ActiveEnterTimestampMonotonic `+sealUnit+`)" -le "$(systemctl show --value --property=ActiveEnterTimestampMonotonic sysinit.target)"`)
}

// Whatever state the system was left in, the next boot seals it, unless the kernel's
// command line has the word rw.
func TestSealAtBoot(t *testing.T) {
	v := newMachine(t)
	check(t, v.boot(textMode))
	install(t, v)
	must(t, v.as(root), "systemctl enable "+sealUnit)
	check(t, v.shutDown())

	for _, boot := range []struct {
		name, words string
		sealed      bool
	}{
		{name: "left unlocked", sealed: true},
		{name: "rw", words: "rw"},
		{name: "words that are not rw", words: "rw=1 foo=rw", sealed: true},
	} {
		done := t.Run(boot.name, func(t *testing.T) {
			words := []string{textMode}
			if boot.words != "" {
				words = append(words, boot.words)
			}
			check(t, v.boot(words...))
			if boot.sealed {
				expectSealed(t, v)
				must(t, v.as(root), "immutectl unlock")
			} else if got := property(t, v, sealUnit, "ActiveState"); got != "inactive" {
				t.Errorf("the seal is %s, want it skipped", got)
			}
			expectState(t, v, helper.Unlocked)
			if failed := must(t, v.as(root), "systemctl --failed --no-legend --plain"); failed != "" {
				t.Errorf("units failed: %s", failed)
			}
			check(t, v.shutDown())
		})
		if !done {
			break
		}
	}
}
