package tray

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/client"
)

// leftBehind is a report of a system with programs to which it is still read-only.
func leftBehind(r report, units ...string) report {
	for _, unit := range units {
		r.Status.StillReadOnly = append(r.Status.StillReadOnly, helper.Bystander{Unit: unit, Program: "program", PID: 7})
	}
	return r
}

func (m model) has(label string) bool { return strings.Contains(m.text(), "\n"+label+"\n") }

func TestRestartThem(t *testing.T) {
	s := newStage(t, defaultSettings(), leftBehind(unlockedAt, "cups.service", "gdm.service", "NetworkManager.service"))
	s.clearLog()
	s.c.Choose("restart")
	s.waitModel("the item in grey", func(m model) bool { return m.has("(Restart 2 of them…)") })
	s.clock.Await(t, settle) // the menu has to close first
	s.expectLog()
	s.passTime(settle)
	s.waitLog("restart cups.service NetworkManager.service")
	s.c.Choose("restart") // one at a time
	s.expectLog("restart cups.service NetworkManager.service")
	s.endRestart(nil, leftBehind(unlockedAt, "gdm.service"))
	s.waitModel("the one that is left", func(m model) bool {
		return m.has("(1 service still sees it read-only)") && !strings.Contains(m.text(), "Restart")
	})
	s.expectLog("restart cups.service NetworkManager.service", "remind unlocked")
	s.c.Choose("restart") // from a menu that stood open meanwhile
	s.expectLog("restart cups.service NetworkManager.service", "remind unlocked")
}

// A password prompt that is not answered, or a service that does not stop, is no reason to
// stay open.
func TestRestartKeepsNobodyFromLocking(t *testing.T) {
	s := newStage(t, defaultSettings(), leftBehind(unlockedAt, "cups.service"))
	s.clearLog()
	s.c.Choose("restart")
	s.clock.Await(t, settle)
	s.passTime(settle)
	s.waitLog("restart cups.service")
	s.c.LockNow()
	s.waitLog("restart cups.service", "do lock")
	s.answer(done(helper.Lock), lockedAt)
	s.waitTooltip("Locked")
}

func TestRestartEndsWithTheApplet(t *testing.T) {
	s := newStage(t, defaultSettings(), leftBehind(unlockedAt, "cups.service"))
	s.clearLog()
	s.c.Choose("restart")
	s.clock.Await(t, settle)
	s.passTime(settle)
	s.waitLog("restart cups.service")
	s.end()
	s.waitLog("restart cups.service")
}

func TestRestartThatDoesNotCome(t *testing.T) {
	const byHand = `You can also run "sudo systemctl restart cups.service".`
	for name, test := range map[string]struct {
		err  error
		told []string
	}{
		"dismissed": {fmt.Errorf("cannot restart cups.service: %w", client.ErrCancelled), nil},
		"no dialog": {fmt.Errorf("cannot restart cups.service: %w", client.ErrNoDialog), []string{
			"obstacle: Restarting failed | Cannot restart cups.service: the password prompt could not be shown. / Close open menus and dialogs, then try again. " + byHand}},
		"failed": {errors.New("cannot restart cups.service: why"), []string{
			"obstacle: Restarting failed | Cannot restart cups.service: why. / " + byHand}},
		"too late": {context.DeadlineExceeded, []string{
			"obstacle: Restarting failed | Context deadline exceeded. / " + byHand}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, defaultSettings(), leftBehind(unlockedAt, "cups.service"))
			s.clearLog()
			s.c.Choose("restart")
			s.clock.Await(t, settle)
			s.passTime(settle)
			s.waitLog("restart cups.service")
			s.endRestart(test.err, leftBehind(unlockedAt, "cups.service"))
			s.waitModel("the item again", func(m model) bool { return m.has("Restart it…") })
			s.expectLog(append([]string{"restart cups.service"}, test.told...)...)
			if told := strings.Contains(s.shownText(), "What went wrong…"); told != (test.told != nil) {
				t.Errorf("the menu says what went wrong: %v", told)
			}
			s.clearLog()
			s.c.Choose("restart") // and again
			s.clock.Await(t, settle)
			var closed []string
			if test.told != nil {
				closed = []string{"close obstacle"}
			}
			s.waitLog(closed...)
			s.passTime(settle)
			s.waitLog(append(closed, "restart cups.service")...)
			s.endRestart(nil, unlockedAt)
			s.waitModel("no item", func(m model) bool { return !strings.Contains(m.text(), "Restart") })
		})
	}
}

func (s *stage) shownText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.model.text()
}
