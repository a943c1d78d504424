package notify

import (
	"testing"
	"time"

	"immutray.org/helper"
)

func TestScheduleDismissedIsNotRefreshed(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(5 * minute)
	d.s.dismissed()
	d.s.textIs(d.now, false)
	d.pass(14 * minute)
	d.want("refreshed", d.refreshd)
	d.pass(minute)
	d.want("reminded", d.reminded, 5*minute, 20*minute)
}

func TestScheduleLockThatDoesNotComeBringsTheReminderBack(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(6 * minute)
	d.s.lockAsked(d.now)
	d.s.dismissed() // as a daemon does after a button
	d.pass(minute)
	d.want("reminded", d.reminded, 5*minute, 6*minute+buttonTimeout)
	d.s.lockAsked(d.now)
	d.s.dismissed()
	d.pass(buttonTimeout / 2)
	d.update(helper.Locked)
	d.pass(time.Hour)
	d.want("reminded", d.reminded, 5*minute, 6*minute+buttonTimeout)
}

func TestScheduleDaemon(t *testing.T) {
	t.Run("restarts", func(t *testing.T) {
		d := newPlayedSession(t)
		d.update(helper.Unlocked)
		d.pass(6 * minute)
		d.s.lost()
		d.pass(minute)
		d.s.daemonReady(d.now)
		d.act()
		d.want("reminded", d.reminded, 5*minute, 7*minute)
	})
	t.Run("restarts after the person dismissed", func(t *testing.T) {
		d := newPlayedSession(t)
		d.update(helper.Unlocked)
		d.pass(6 * minute)
		d.s.dismissed()
		d.s.lost()
		d.s.daemonReady(d.now)
		d.pass(minute)
		d.want("reminded", d.reminded, 5*minute)
	})
	t.Run("restarts while snoozed", func(t *testing.T) {
		d := newPlayedSession(t)
		d.update(helper.Unlocked)
		d.pass(6 * minute)
		d.s.snooze(d.now)
		d.act()
		d.s.lost()
		d.s.daemonReady(d.now)
		d.pass(minute)
		d.want("reminded", d.reminded, 5*minute)
	})
	t.Run("is missing, then appears", func(t *testing.T) {
		d := newPlayedSession(t)
		d.how = noDaemon
		d.update(helper.Unlocked)
		d.pass(21 * minute)
		d.want("tried", d.reminded, 5*minute, 20*minute)
		d.how = delivered
		d.s.daemonReady(d.now)
		d.act()
		d.want("reminded", d.reminded, 5*minute, 20*minute, 21*minute)
	})
	t.Run("is missing, then appears after the lock", func(t *testing.T) {
		d := newPlayedSession(t)
		d.how = noDaemon
		d.update(helper.Unlocked)
		d.pass(6 * minute)
		d.update(helper.Locked)
		d.s.daemonReady(d.now)
		d.pass(time.Hour)
		d.want("tried", d.reminded, 5*minute)
	})
	t.Run("fails", func(t *testing.T) {
		d := newPlayedSession(t)
		d.how = undelivered
		d.update(helper.Unlocked)
		d.pass(7*minute + 30*time.Second)
		d.want("tried", d.reminded, 5*minute, 6*minute, 7*minute)
	})
}
