package notify

import (
	"slices"
	"testing"
	"time"

	"immutray.org/helper"
)

// playedEnding plays an ending against a clock that is moved by hand.
type playedEnding struct {
	e         ending
	now       time.Time
	announced []time.Duration // since noon
	withdrawn []time.Duration
}

func (d *playedEnding) act() {
	for {
		switch d.e.step(d.now, d.now) {
		case endingAnnounce:
			d.announced = append(d.announced, d.now.Sub(noon))
		case endingWithdraw:
			d.withdrawn = append(d.withdrawn, d.now.Sub(noon))
		default:
			return
		}
	}
}

func (d *playedEnding) pass(span time.Duration) {
	end := d.now.Add(span)
	for at, ok := d.e.wake(); ok && !at.After(end); at, ok = d.e.wake() {
		d.now = at
		d.act()
	}
	d.now = end
	d.act()
}

func (d *playedEnding) update(s helper.Status) {
	d.e.update(d.now, d.now, s)
	d.act()
}

// unlockedFor is the status of a window that began at noon.
func unlockedFor(d time.Duration) helper.Status {
	return status(helper.Unlocked, until(window(0, "rrs"), d), both(helper.Unlocked)...)
}

func TestEnding(t *testing.T) {
	type steps = []time.Duration
	for _, test := range []struct {
		name                 string
		play                 func(d *playedEnding)
		announced, withdrawn steps
	}{
		{"five minutes before the end", func(d *playedEnding) {
			d.update(unlockedFor(time.Hour))
			d.pass(58 * minute)
		}, steps{55 * minute}, nil},
		{"locked in time", func(d *playedEnding) {
			d.update(unlockedFor(time.Hour))
			d.pass(57 * minute)
			d.update(allLocked)
		}, steps{55 * minute}, steps{57 * minute}},
		{"locked before", func(d *playedEnding) {
			d.update(unlockedFor(time.Hour))
			d.pass(10 * minute)
			d.update(allLocked)
			d.pass(2 * time.Hour)
		}, nil, nil},
		{"the lock is blocked", func(d *playedEnding) {
			d.update(unlockedFor(time.Hour))
			d.pass(2 * time.Hour)
		}, steps{55 * minute}, steps{60 * minute}},
		{"a short window", func(d *playedEnding) {
			d.update(unlockedFor(5 * minute))
			d.pass(time.Hour)
		}, nil, nil},
		{"a window a little longer", func(d *playedEnding) {
			d.update(unlockedFor(6 * minute))
			d.pass(2 * minute)
		}, steps{minute}, nil},
		{"no end", func(d *playedEnding) {
			d.update(unlockedBy("rrs"))
			d.pass(48 * time.Hour)
		}, nil, nil},
		{"extended", func(d *playedEnding) {
			d.update(unlockedFor(time.Hour))
			d.pass(56 * minute)
			d.update(unlockedFor(75 * minute))
			d.pass(16 * minute)
		}, steps{55 * minute, 70 * minute}, steps{56 * minute}},
		{"shortened", func(d *playedEnding) {
			d.update(unlockedFor(time.Hour))
			d.pass(10 * minute)
			d.update(unlockedFor(13 * minute))
			d.pass(minute)
		}, steps{10 * minute}, nil},
		{"begun late", func(d *playedEnding) {
			d.now = d.now.Add(57 * minute)
			d.update(unlockedFor(time.Hour))
		}, steps{57 * minute}, nil},
		{"overdue", func(d *playedEnding) {
			d.now = d.now.Add(90 * minute)
			d.update(unlockedFor(time.Hour))
			d.pass(time.Hour)
		}, nil, nil},
		{"unknown for a while", func(d *playedEnding) {
			d.update(unlockedFor(time.Hour))
			d.update(status(helper.Unknown, nil))
			d.pass(56 * minute)
		}, steps{55 * minute}, nil},
		{"asleep over the end", func(d *playedEnding) {
			d.update(unlockedFor(time.Hour))
			d.now = d.now.Add(8 * time.Hour)
			d.act()
		}, nil, nil},
		{"closed by the person", func(d *playedEnding) {
			d.update(unlockedFor(time.Hour))
			d.pass(56 * minute)
			d.e.dismissed()
			d.pass(time.Hour)
		}, steps{55 * minute}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &playedEnding{now: noon}
			test.play(d)
			if !slices.Equal(d.announced, test.announced) || !slices.Equal(d.withdrawn, test.withdrawn) {
				t.Errorf("announced at %v, withdrawn at %v, want %v, %v", d.announced, d.withdrawn, test.announced, test.withdrawn)
			}
		})
	}
}

func TestEndingText(t *testing.T) {
	for left, want := range map[time.Duration]string{
		5 * minute:                "Locks in 5 minutes",
		5*minute - time.Second:    "Locks in 5 minutes",
		2*minute + 29*time.Second: "Locks in 2 minutes",
		time.Second:               "Locks in 1 minute",
	} {
		n := Ending(noon.Add(left), noon, "an-icon")
		if n.Summary != want || n.Urgency != Normal || n.Icon != "an-icon" || len(n.Actions) != 1 || n.Actions[0] != (Action{ActionExtend, "15 more minutes"}) {
			t.Errorf("Ending() %v before the end = %+v, want %q", left, n, want)
		}
	}
	n := Ending(noon.Add(5*minute), noon, "")
	if want := "The operating system becomes read-only again at 14:35."; n.Body != want || n.Command != "For more time, run: immutectl unlock --for 20m" {
		t.Errorf("Ending() = %+v, want %q", n, want)
	}
}

func TestRemindersAnnounceTheEnd(t *testing.T) {
	s := begin(t)
	s.reminders.Update(unlockedFor(20 * time.Minute))
	s.pass(5 * time.Minute)
	s.server.WaitForPosts(1) // the reminder
	s.pass(10 * time.Minute)
	post := s.server.WaitForPosts(2)
	if post.Summary != "Locks in 5 minutes" || post.Hints["urgency"].Value() != byte(1) || post.Replaces != 0 {
		t.Errorf("posted %+v", post)
	}
	s.server.WaitForOpen(2)
	s.server.InvokeAction(post.ID, ActionExtend)
	receive(t, s.extends)
	s.reminders.Update(allLocked)
	s.server.WaitForOpen(0)
	s.clock.AwaitNone(t)
}

// The announcement goes with the window, and with the applet.
func TestRemindersWithdrawTheAnnouncement(t *testing.T) {
	for name, end := range map[string]func(s *session){
		"extended":        func(s *session) { s.reminders.Update(unlockedFor(time.Hour)) },
		"locked":          func(s *session) { s.reminders.Update(allLocked) },
		"the applet ends": func(s *session) { s.end() },
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t)
			s.reminders.Update(unlockedFor(9 * time.Minute))
			s.pass(4 * time.Minute)
			s.server.WaitForOpen(1)
			end(s)
			s.server.WaitForOpen(0)
		})
	}
}
