package notify

import (
	"testing"
	"time"

	"immutray.org/helper"
)

// playedSession plays a schedule against a clock and notes when it reminds.
type playedSession struct {
	t        *testing.T
	s        schedule
	now      time.Time
	start    time.Time
	reminded []time.Duration
	refreshd []time.Duration
	closed   []time.Duration
	how      delivery
}

func newPlayedSession(t *testing.T) *playedSession {
	start := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	d := &playedSession{t: t, s: schedule{settings: DefaultSettings()}, now: start, start: start}
	d.s.begin(start)
	return d
}

// act carries out all that is to be done now.
func (d *playedSession) act() {
	d.t.Helper()
	for range 10 {
		at := d.now.Sub(d.start)
		switch what := d.s.step(d.now); what {
		case wait:
			return
		case remind:
			d.reminded = append(d.reminded, at)
			d.s.done(d.now, what, d.how)
		case refresh:
			d.refreshd = append(d.refreshd, at)
			d.s.done(d.now, what, d.how)
		case unshow:
			d.closed = append(d.closed, at)
			d.s.unshown()
		}
	}
	d.t.Fatal("the schedule does not come to rest")
}

// pass lets time go by, waking when the schedule asks for it.
func (d *playedSession) pass(span time.Duration) {
	d.t.Helper()
	end := d.now.Add(span)
	for {
		d.act()
		at, ok := d.s.wake()
		if !ok || at.After(end) {
			break
		}
		d.now = at
	}
	d.now = end
	d.act()
}

// sleep lets time go by without anybody waking in between.
func (d *playedSession) sleep(span time.Duration) {
	d.now = d.now.Add(span)
	d.act()
}

func (d *playedSession) update(state helper.State) {
	d.s.update(d.now, state, time.Time{})
	d.act()
}

func (d *playedSession) want(what string, got []time.Duration, want ...time.Duration) {
	d.t.Helper()
	if len(got) != len(want) {
		d.t.Fatalf("%s at %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			d.t.Fatalf("%s at %v, want %v", what, got, want)
		}
	}
}

const minute = time.Minute

func TestScheduleFirstAfterFiveMinutesThenEveryFifteen(t *testing.T) {
	for _, state := range []helper.State{helper.Unlocked, helper.PartlyLocked} {
		d := newPlayedSession(t)
		d.update(helper.Locked)
		d.pass(60 * minute)
		d.update(state)
		d.pass(50 * minute)
		d.want("reminded", d.reminded, 65*minute, 80*minute, 95*minute, 110*minute)
		d.want("closed", d.closed)
	}
}

func TestScheduleLockedNeverReminds(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Locked)
	d.pass(24 * time.Hour)
	d.want("reminded", d.reminded)
	if at, ok := d.s.wake(); ok {
		t.Errorf("wake() = %v while locked, want never", at)
	}
}

func TestScheduleWindowOpenBeforeLogin(t *testing.T) {
	d := newPlayedSession(t)
	// The state is known a moment after the session began; that changes nothing.
	d.now = d.now.Add(2 * time.Second)
	d.s.update(d.now, helper.Unlocked, d.start.Add(-72*time.Hour))
	d.pass(6 * minute)
	d.want("reminded", d.reminded, 5*minute)
}

func TestScheduleStateReadLateAfterLogin(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unknown)
	d.pass(20 * minute)
	d.want("reminded", d.reminded)
	d.update(helper.Unlocked)
	d.want("reminded", d.reminded, 20*minute)
}

func TestScheduleClosesWhenLocked(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(7 * minute)
	d.update(helper.Locked)
	d.want("closed", d.closed, 7*minute)
	d.update(helper.Locked)
	d.want("closed", d.closed, 7*minute)
}

func TestScheduleNewWindowStartsOver(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(6 * minute)
	d.update(helper.Locked)
	d.pass(minute)
	d.update(helper.Unlocked)
	d.pass(10 * minute)
	d.want("reminded", d.reminded, 5*minute, 12*minute)
}

func TestScheduleNewWindowThatWasNotSeenToBegin(t *testing.T) {
	d := newPlayedSession(t)
	first := d.start.Add(-time.Hour)
	d.s.update(d.now, helper.Unlocked, first)
	d.pass(6 * minute)
	// Locked and unlocked again between two looks: only the window shows it.
	d.s.update(d.now, helper.Unlocked, d.now)
	d.act()
	d.want("closed", d.closed, 6*minute)
	d.pass(6 * minute)
	d.want("reminded", d.reminded, 5*minute, 11*minute)
}

func TestScheduleWindowRecordedAfterTheFlags(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Locked)
	d.pass(10 * minute)
	d.update(helper.Unlocked)
	d.pass(6 * minute)
	d.s.update(d.now, helper.Unlocked, d.start.Add(10*minute))
	d.act()
	d.update(helper.Unlocked) // and unreadable again
	d.pass(minute)
	d.want("reminded", d.reminded, 15*minute)
	d.want("closed", d.closed)
}

func TestSchedulePartlyLockedDoesNotRestart(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(4 * minute)
	d.update(helper.PartlyLocked)
	d.pass(2 * minute)
	d.update(helper.Unlocked)
	d.pass(15 * minute)
	d.want("reminded", d.reminded, 5*minute, 20*minute)
	d.want("closed", d.closed)
}

func TestScheduleRefreshesAShownTextWithoutAStorm(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.s.textIs(d.now, false)
	d.pass(5 * minute)
	for range 100 { // a script flips the state for a hundred seconds
		d.update(helper.PartlyLocked)
		d.s.textIs(d.now, false)
		d.act()
		d.pass(time.Second)
	}
	if n := len(d.refreshd); n < 9 || n > 11 {
		t.Errorf("refreshed %d times in 100 s, want once in %v: %v", n, refreshGap, d.refreshd)
	}
	d.want("reminded", d.reminded, 5*minute)
	d.pass(20 * minute)
	d.want("reminded", d.reminded, 5*minute, 20*minute)
}

func TestScheduleEightHoursAsleepIsOneReminder(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(6 * minute)
	d.sleep(8 * time.Hour)
	woke := 8*time.Hour + 6*minute
	d.want("reminded", d.reminded, 5*minute, woke)
	d.pass(31 * minute)
	d.want("reminded", d.reminded, 5*minute, woke, woke+15*minute, woke+30*minute)
}

func TestScheduleEightHoursAwakeAreThirtyTwo(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(8 * time.Hour)
	if len(d.reminded) != 32 {
		t.Errorf("reminded %d times in 8 h awake, want 32", len(d.reminded))
	}
}

// While a lock is under way there is nothing to do, however long overdue it
// is; afterwards what is due is done.
func TestScheduleLockUnderWay(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(6 * time.Minute)
	d.want("reminders before the lock", d.reminded, 5*time.Minute)
	d.pass(13 * time.Minute)
	d.s.lockBegan(d.now)
	d.update(helper.PartlyLocked)
	d.s.textIs(d.now, false)
	d.sleep(2 * time.Minute)
	d.sleep(time.Minute)
	d.want("reminders in its middle", d.reminded, 5*time.Minute)
	d.want("texts in its middle", d.refreshd)
	d.update(helper.Unlocked)
	d.s.lockEnded()
	d.act()
	d.want("reminders after a lock that failed", d.reminded, 5*time.Minute, 22*time.Minute)

	d.pass(14 * time.Minute)
	d.s.lockBegan(d.now)
	d.sleep(lockTimeout - time.Second)
	d.want("reminders while one has no answer", d.reminded, 5*time.Minute, 22*time.Minute)
	d.pass(time.Second)
	d.want("reminders when one has none for long", d.reminded, 5*time.Minute, 22*time.Minute, 41*time.Minute)
}

func TestScheduleSnooze(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(6 * minute)
	d.s.snooze(d.now)
	d.act()
	d.want("closed", d.closed, 6*minute)
	if until, ok := d.s.snoozedUntil(d.now); !ok || until.Sub(d.start) != 66*minute {
		t.Errorf("snoozedUntil() = %v, %v, want 66 min after the start", until, ok)
	}
	d.pass(65 * minute)
	d.want("reminded", d.reminded, 5*minute, 66*minute)
	if until, ok := d.s.snoozedUntil(d.now); ok {
		t.Errorf("snoozedUntil() = %v after the snooze", until)
	}
	d.pass(15 * minute)
	d.want("reminded", d.reminded, 5*minute, 66*minute, 81*minute)
}

func TestScheduleSnoozeEndsWithTheWindow(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.s.snooze(d.now)
	d.pass(minute)
	d.update(helper.Locked)
	if _, ok := d.s.snoozedUntil(d.now); ok {
		t.Error("still snoozed after the lock")
	}
	d.s.snooze(d.now)
	if _, ok := d.s.snoozedUntil(d.now); ok {
		t.Error("a locked system was snoozed")
	}
	d.update(helper.Unlocked)
	d.pass(6 * minute)
	d.want("reminded", d.reminded, 6*minute)
}

func TestScheduleUnknownKeepsWhatWas(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(6 * minute)
	d.update(helper.Unknown)
	d.pass(30 * minute)
	d.want("reminded", d.reminded, 5*minute)
	d.want("closed", d.closed)
	if _, ok := d.s.wake(); ok {
		t.Error("wakes although the state is unknown")
	}
	d.update(helper.Unlocked) // overdue by now
	d.want("reminded", d.reminded, 5*minute, 36*minute)

	d = newPlayedSession(t)
	d.update(helper.Locked)
	d.update(helper.Unknown)
	d.pass(30 * minute)
	d.update(helper.Unlocked)
	d.pass(6 * minute)
	d.want("reminded after a lock that was known", d.reminded, 35*minute)
}

func TestScheduleSessionBeginsAgain(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	d.pass(6 * minute)
	d.s.begin(d.now)
	d.act()
	d.want("closed", d.closed, 6*minute)
	d.pass(6 * minute)
	d.want("reminded", d.reminded, 5*minute, 11*minute)
}

func TestSettingsOrDefault(t *testing.T) {
	custom := Settings{First: 0, Every: minute, Snooze: 2 * minute}
	for _, tt := range []struct {
		name     string
		in, want Settings
	}{
		{"zero", Settings{}, DefaultSettings()},
		{"custom", custom, custom},
		{"no end of reminders", Settings{First: minute}, Settings{minute, 15 * minute, time.Hour}},
	} {
		if got := tt.in.orDefault(); got != tt.want {
			t.Errorf("%s: orDefault() = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSettingsMayChange(t *testing.T) {
	d := newPlayedSession(t)
	d.update(helper.Unlocked)
	use := func(s Settings) { d.s.use(s); d.act() }
	d.pass(minute)
	use(Settings{First: 2 * minute, Every: 10 * minute, Snooze: 30 * minute})
	d.pass(10 * minute) // to minute 11
	d.want("reminded", d.reminded, 2*minute)
	use(Settings{First: 2 * minute, Every: 4 * minute, Snooze: 30 * minute})
	d.want("reminded", d.reminded, 2*minute, 11*minute)
	d.s.snooze(d.now)
	use(Settings{First: 2 * minute, Every: minute, Snooze: 5 * minute})
	d.pass(30 * minute)
	d.want("reminded", d.reminded, 2*minute, 11*minute, 41*minute)
	d.update(helper.Locked)
	use(DefaultSettings())
	d.pass(60 * minute)
	d.want("reminded", d.reminded, 2*minute, 11*minute, 41*minute)
}
