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
func leftBehind(r Report, units ...string) Report {
	for _, unit := range units {
		r.Status.StillReadOnly = append(r.Status.StillReadOnly, helper.Bystander{Unit: unit, Program: "program", PID: 7})
	}
	return r
}

func TestMenuOfThoseLeftBehind(t *testing.T) {
	menu := func(icon, first, paths, items string) string {
		return fmt.Sprintf("%s | %s\n(%s)\n%s---\nLock now\n%s---\nAbout Immutray\nQuit\n", icon, first, first, paths, items)
	}
	unlockedMenu := func(items string) string {
		return menu("immutray-unlocked", "Unlocked for 23 min by rrs",
			"(/: unlocked (property writable, mount writable))\n(/etc: unlocked (property writable, mount writable))\n",
			"Lock in 15 minutes…\nLock in 1 hour…\nRemind me in 1 hour\n"+items)
	}
	asked := strings.NewReplacer("immutray-unlocked", "immutray-working", "Unlocked for 23 min by rrs", "Locking…",
		"Lock now", "(Lock now)", "Lock in 15 minutes…", "(Lock in 15 minutes…)", "Lock in 1 hour…", "(Lock in 1 hour…)")
	all := leftBehind(unlockedAt, "cups.service", "NetworkManager.service", "systemd-timedated.service")
	testBuild(t, []buildTest{
		{"nobody", Snapshot{Report: unlockedAt}, unlockedMenu("")},
		{"all can be restarted", Snapshot{Report: all},
			unlockedMenu("(3 services still see it read-only)\nRestart them…\n")},
		{"one", Snapshot{Report: leftBehind(unlockedAt, "cups.service")},
			unlockedMenu("(1 service still sees it read-only)\nRestart it…\n")},
		{"some can be restarted", Snapshot{Report: leftBehind(unlockedAt, "cups.service", "gdm.service", "session-1.scope")},
			unlockedMenu("(3 programs still see it read-only)\nRestart 1 of them…\n(Start again gdm.service, program (pid 7).)\n")},
		{"none can be restarted", Snapshot{Report: leftBehind(unlockedAt, "dbus.service", "user@1000.service")},
			unlockedMenu("(2 services still see it read-only)\n(Start again dbus.service, user@1000.service.)\n")},
		{"they are being restarted", Snapshot{Report: all, Restarting: true},
			unlockedMenu("(3 services still see it read-only)\n(Restart them…)\n")},
		{"a lock is under way", Snapshot{Report: all, Asked: helper.Lock},
			asked.Replace(unlockedMenu("(3 services still see it read-only)\n(Restart them…)\n"))},
		{"above what keeps it from being locked", Snapshot{Report: all, Trouble: &Trouble{Verb: helper.Lock, Blocked: true, Err: errors.New("cannot lock: busy"),
			Writers: []helper.Writer{{Kind: helper.WriterFile, PID: 4242, Program: "vim", Path: "/etc/fstab"}}}},
			unlockedMenu("(3 services still see it read-only)\nRestart them…\nWho is writing…\n  > (vim (4242): /etc/fstab)\nLock anyway…\n")},
		{"it failed", Snapshot{Report: all, Trouble: &Trouble{Restart: true, Err: errors.New("cannot restart cups.service: why"), Hint: "Do it."}},
			unlockedMenu("(3 services still see it read-only)\nRestart them…\nWhat went wrong…\n  > (Cannot restart cups.service: why.)\n  > (Do it.)\n")},
	})
}

func (m Model) has(label string) bool { return strings.Contains(m.text(), "\n"+label+"\n") }

func TestRestartThem(t *testing.T) {
	s := newStage(t, DefaultSettings(), leftBehind(unlockedAt, "cups.service", "gdm.service", "NetworkManager.service"))
	s.clearLog()
	s.c.Choose(IDRestart)
	s.waitModel("the item in grey", func(m Model) bool { return m.has("(Restart 2 of them…)") })
	s.clock.Await(t, settle) // the menu has to close first
	s.expectLog()
	s.passTime(settle)
	s.waitLog("restart cups.service NetworkManager.service")
	s.c.Choose(IDRestart) // one at a time
	s.expectLog("restart cups.service NetworkManager.service")
	s.endRestart(nil, leftBehind(unlockedAt, "gdm.service"))
	s.waitModel("the one that is left", func(m Model) bool {
		return m.has("(1 service still sees it read-only)") && !strings.Contains(m.text(), "Restart")
	})
	s.expectLog("restart cups.service NetworkManager.service", "remind unlocked")
	s.c.Choose(IDRestart) // from a menu that stood open meanwhile
	s.expectLog("restart cups.service NetworkManager.service", "remind unlocked")
}

// A password prompt that nobody answers, or a service that does not stop, is no reason to
// stay open.
func TestRestartKeepsNobodyFromLocking(t *testing.T) {
	s := newStage(t, DefaultSettings(), leftBehind(unlockedAt, "cups.service"))
	s.clearLog()
	s.c.Choose(IDRestart)
	s.clock.Await(t, settle)
	s.passTime(settle)
	s.waitLog("restart cups.service")
	s.c.LockNow()
	s.waitLog("restart cups.service", "do lock")
	s.answer(done(helper.Lock), lockedAt)
	s.waitTooltip("Locked")
}

func TestRestartEndsWithTheApplet(t *testing.T) {
	s := newStage(t, DefaultSettings(), leftBehind(unlockedAt, "cups.service"))
	s.clearLog()
	s.c.Choose(IDRestart)
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
			"problem: Restarting failed | Cannot restart cups.service: the password prompt could not be shown. / Close open menus and dialogs, then try again. " + byHand}},
		"failed": {errors.New("cannot restart cups.service: why"), []string{
			"problem: Restarting failed | Cannot restart cups.service: why. / " + byHand}},
		"too late": {context.DeadlineExceeded, []string{
			"problem: Restarting failed | Context deadline exceeded. / " + byHand}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, DefaultSettings(), leftBehind(unlockedAt, "cups.service"))
			s.clearLog()
			s.c.Choose(IDRestart)
			s.clock.Await(t, settle)
			s.passTime(settle)
			s.waitLog("restart cups.service")
			s.endRestart(test.err, leftBehind(unlockedAt, "cups.service"))
			s.waitModel("the item again", func(m Model) bool { return m.has("Restart it…") })
			s.expectLog(append([]string{"restart cups.service"}, test.told...)...)
			if told := strings.Contains(s.shownText(), "What went wrong…"); told != (test.told != nil) {
				t.Errorf("the menu says what went wrong: %v", told)
			}
			s.clearLog()
			s.c.Choose(IDRestart) // and again
			s.clock.Await(t, settle)
			var closed []string
			if test.told != nil {
				closed = []string{"close problem"}
			}
			s.waitLog(closed...)
			s.passTime(settle)
			s.waitLog(append(closed, "restart cups.service")...)
			s.endRestart(nil, unlockedAt)
			s.waitModel("no item", func(m Model) bool { return !strings.Contains(m.text(), "Restart") })
		})
	}
}

func (s *stage) shownText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.model.text()
}
