package tray

import (
	"testing"

	"immutray.org/helper"
	"immutray.org/icons"
)

func TestRemindersAreToldOfALock(t *testing.T) {
	for _, answer := range []reply{done(helper.Lock), {Cancelled: true}, {Result: &helper.Result{Outcome: helper.Blocked, Error: "cannot lock: busy"}}} {
		s := newStage(t, defaultSettings(), unlockedAt)
		s.c.LockNow()
		s.waitTooltip("Locking…")
		if !s.locking.Load() {
			t.Error("a lock is under way, and the reminders don't know")
		}
		s.answer(answer, unlockedAt)
		s.waitModel("the answer", func(m model) bool { return m.Icon != icons.Working })
		if s.locking.Load() {
			t.Errorf("the lock has its answer %+v, and the reminders wait for it", answer)
		}
	}
}
