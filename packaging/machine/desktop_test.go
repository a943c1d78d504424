//go:build machine

package machine

import (
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/icons"
)

// changeTime is how long a click may take to change the state on the slow machine.
const changeTime = time.Minute

// What the person at the desk does, with the real display manager, panel, polkit and
// password prompt. One machine for all of it: each step goes on from the one before.
func TestDesk(t *testing.T) {
	v := newMachine(t)
	check(t, v.boot(textMode))
	install(t, v)
	startWriter(t, v)
	// Now the person logs in.
	must(t, v.as(root), "systemctl start graphical.target")
	useDesk(t, v)
}

// useDesk does what the person does.
func useDesk(t *testing.T, v *vm) {
	steps := []struct {
		name string
		do   func(t *testing.T)
	}{
		{"the padlock is in the panel", func(t *testing.T) {
			expectIcon(t, v, icons.Unlocked)
			takePicture(t, v, "panel-unlocked")
			expectState(t, v, helper.Unlocked)
		}},
		{"a click while unlocked locks", func(t *testing.T) {
			check(t, v.clickIcon())
			check(t, v.waitForState(helper.Locked, changeTime))
			expectIcon(t, v, icons.Locked)
			takePicture(t, v, "panel-locked")
			expectState(t, v, helper.Locked)
			if got := records(t, v, outcome); !strings.Contains(got, "lock for rrs: done") {
				t.Errorf("the journal does not say that rrs locked: %s", got)
			}
		}},
		{"Escape in the prompt leaves it locked", func(t *testing.T) {
			check(t, v.clickIcon())
			check(t, v.waitForPrompt(true))
			time.Sleep(settleTime)
			takePicture(t, v, "prompt")
			check(t, v.press("esc"))
			check(t, v.waitForPrompt(false))
			expectIcon(t, v, icons.Locked)
			time.Sleep(settleTime)
			takePicture(t, v, "cancelled")
			expectState(t, v, helper.Locked)
		}},
		{"a wrong password leaves it locked", func(t *testing.T) {
			check(t, v.clickIcon())
			check(t, v.waitForPrompt(true))
			time.Sleep(settleTime)
			check(t, v.typeText("wrong"))
			check(t, v.press("ret"))
			must(t, v.as(root), "for i in $(seq 100); do journalctl --boot --no-pager | grep -q 'polkit-1:auth.: authentication failure' && exit 0; sleep 0.5; done; exit 1")
			time.Sleep(settleTime)
			takePicture(t, v, "wrong-password")
			expectState(t, v, helper.Locked)
		}},
		{"the right password unlocks", func(t *testing.T) {
			check(t, v.waitForPrompt(true))
			check(t, v.typeText(adminPassword))
			check(t, v.press("ret"))
			check(t, v.waitForState(helper.Unlocked, changeTime))
			expectIcon(t, v, icons.Unlocked)
			takePicture(t, v, "unlocked-again")
			expectState(t, v, helper.Unlocked)
			s, err := v.state()
			check(t, err)
			if s.Window == nil || s.Window.User != admin {
				t.Errorf("the window is %+v, want it %s's", s.Window, admin)
			}
		}},
		{"islands were writable all the time", func(t *testing.T) { expectWriter(t, v) }},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// settleTime is what a window needs until it is drawn and has the keyboard.
const settleTime = 5 * time.Second

// expectIcon waits for an icon in the panel.
func expectIcon(t *testing.T, v *vm, name icons.Name) {
	t.Helper()
	_, err := v.icon(name)
	check(t, err)
}
