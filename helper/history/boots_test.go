package history

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// at is a moment so long after noon, of a boot that began at eleven.
func at(after time.Duration) moment {
	return moment{wall: noon.Add(after), monotonic: time.Hour + after, sinceBoot: time.Hour + after}
}

const minute = time.Minute

// A script makes records of boot A, until it is told of another.
type script struct {
	boot    string
	records []record
	count   int
}

func boot(name string) *script { return &script{boot: name} }

func (s *script) then(name string) *script {
	s.boot = name
	return s
}

func (s *script) add(r record) *script {
	r.boot = s.boot
	s.records = append(s.records, r)
	return s
}

func (s *script) down(at moment) *script { return s.add(record{moment: at, kind: shutdown}) }

func (s *script) intent(at moment, verb helper.Verb, user string) *script {
	s.count++
	return s.add(record{moment: at, kind: intent, verb: verb, cause: causeOf(verb, user), user: user, uid: 1000, request: fmt.Sprint("r", s.count)})
}

// outcome is that of the last intent.
func (s *script) outcome(at moment, state helper.State, w *helper.Window) *script {
	r := s.records[len(s.records)-1]
	r.moment, r.kind, r.state, r.window = at, outcome, state, w
	return s.add(r)
}

func causeOf(verb helper.Verb, user string) helper.Cause {
	return helper.Request{Verb: verb, Due: user == ""}.Cause()
}

// unlock and lock are done at once.
func (s *script) unlock(at moment, w *helper.Window) *script {
	return s.intent(at, helper.Unlock, w.User).outcome(at, helper.Unlocked, w)
}

func (s *script) lock(at moment, user string, w *helper.Window) *script {
	return s.intent(at, helper.Lock, user).outcome(at, helper.Locked, w)
}

func (s *script) seal(at moment) *script {
	return s.intent(at, helper.Seal, "root").outcome(at, helper.Locked, nil)
}

func window(since moment, user, reason string) *helper.Window {
	return &helper.Window{Since: since.wall, UID: 1000, User: user, Reason: reason}
}

// lines says of each window what a test wants to know, the newest first.
func lines(windows []*Window) string {
	var lines []string
	for _, w := range windows {
		line := fmt.Sprintf("%s %s", w.Since.Format("15:04"), w.User)
		if w.Command != "" {
			line += " [" + w.Command + "]"
		}
		if w.Reason != "" {
			line += " (" + w.Reason + ")"
		}
		if w.Until != nil {
			line += " until " + w.Until.Format("15:04")
		}
		line += fmt.Sprintf(": %q", w.End)
		if !w.Ended.IsZero() {
			line += fmt.Sprintf(" %s after %v", w.Ended.Format("15:04"), w.Lasted)
		}
		if w.LockedBy != "" {
			line += " by " + w.LockedBy
		}
		if w.Sealed {
			line += " sealed"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestWindows(t *testing.T) {
	w := window(at(0), "rrs", "new kernel")
	until := *w
	until.Until = new(time.Time)
	*until.Until = noon.Add(time.Hour)
	// The clock that a moment shows, and those that nobody can set.
	setBack := func(after, back time.Duration) moment {
		m := at(after)
		m.wall = m.wall.Add(-back)
		return m
	}
	later := func(s *script) *script { return s.then("B") }
	tests := []struct {
		name   string
		script *script
		locked bool // now
		want   string
	}{
		{"nothing", boot("A"), true, ""},
		{"a person locks", boot("A").unlock(at(0), w).lock(at(42*minute), "eve", w), true,
			`12:00 rrs (new kernel): "person" 12:42 after 42m0s by eve`},
		{"the time is over", boot("A").unlock(at(0), &until).lock(at(60*minute), "", &until), true,
			`12:00 rrs (new kernel) until 13:00: "timer" 13:00 after 1h0m0s`},
		{"open", boot("now").unlock(at(0), &until), false,
			`12:00 rrs (new kernel) until 13:00: ""`},
		{"locked behind the helper's back", boot("now").unlock(at(0), w), true,
			`12:00 rrs (new kernel): "unseen"`},
		{"extended, with another reason", boot("A").unlock(at(0), window(at(0), "rrs", "")).unlock(at(5*minute), w).lock(at(10*minute), "rrs", w), true,
			`12:00 rrs (new kernel): "person" 12:10 after 10m0s by rrs`},
		{"two, the newest first", boot("A").unlock(at(0), w).lock(at(minute), "rrs", w).
			unlock(at(5*minute), window(at(5*minute), "eve", "")).lock(at(7*minute), "rrs", window(at(5*minute), "eve", "")), true,
			"12:05 eve: \"person\" 12:07 after 2m0s by rrs\n12:00 rrs (new kernel): \"person\" 12:01 after 1m0s by rrs"},
		{"a lock that is blocked ends nothing", boot("A").unlock(at(0), w).intent(at(minute), helper.Lock, "rrs").outcome(at(minute), helper.Unlocked, w).
			lock(at(9*minute), "rrs", w), true,
			`12:00 rrs (new kernel): "person" 12:09 after 9m0s by rrs`},
		{"a lock of what is locked", boot("A").lock(at(0), "rrs", nil).lock(at(minute), "rrs", nil), true, ""},
		{"a boot that is sealed, and was locked", boot("A").seal(at(0)).then("B").seal(at(0)), true, ""},
		{"an unlock that failed and was rolled back", boot("A").intent(at(0), helper.Unlock, "rrs").outcome(at(0), helper.Locked, nil), true, ""},
		{"an unseal that had nothing to do", boot("A").intent(at(0), helper.Unseal, "root").outcome(at(0), helper.Unlocked, nil), false, ""},

		{"pulled the plug, then sealed", later(boot("A").unlock(at(0), w)).seal(at(0)), true,
			`12:00 rrs (new kernel): "crash" 12:00 after 0s sealed`},
		{"pulled the plug after another record", later(boot("A").unlock(at(0), w).intent(at(3*minute), helper.Lock, "rrs")).seal(at(0)), true,
			`12:00 rrs (new kernel): "crash" 12:03 after 3m0s sealed`},
		{"pulled the plug, and nothing since", boot("A").unlock(at(0), w), false,
			`12:00 rrs (new kernel): "crash" 12:00 after 0s`},
		{"pulled the plug, and unlocked next", later(boot("A").unlock(at(0), w)).unlock(at(minute), window(at(minute), "eve", "")).lock(at(2*minute), "eve", window(at(minute), "eve", "")), true,
			"12:01 eve: \"person\" 12:02 after 1m0s by eve\n12:00 rrs (new kernel): \"crash\" 12:00 after 0s"},
		{"pulled the plug twice", later(boot("A").unlock(at(0), w)).seal(at(0)).unlock(at(minute), w).then("C").seal(at(0)), true,
			"12:00 rrs (new kernel): \"crash\" 12:01 after 1m0s sealed\n12:00 rrs (new kernel): \"crash\" 12:00 after 0s sealed"},
		{"sealed only at the boot after the next", later(boot("A").unlock(at(0), w)).intent(at(0), helper.Seal, "root").outcome(at(0), helper.Unlocked, nil).then("C").seal(at(0)), true,
			`12:00 rrs (new kernel): "crash" 12:00 after 0s`},
		{"shut down, then sealed", later(boot("A").unlock(at(0), w).down(at(8 * minute))).seal(at(0)), true,
			`12:00 rrs (new kernel): "seal" 12:08 after 8m0s sealed`},
		{"shut down, and nothing since", boot("A").unlock(at(0), w).down(at(8 * minute)), false,
			`12:00 rrs (new kernel): "shutdown" 12:08 after 8m0s`},
		{"shut down locked", boot("A").unlock(at(0), w).lock(at(minute), "rrs", w).down(at(8 * minute)), true,
			`12:00 rrs (new kernel): "person" 12:01 after 1m0s by rrs`},
		{"locked by the time while it was shut down", boot("A").unlock(at(0), w).down(at(8*minute)).lock(at(8*minute), "", w), true,
			`12:00 rrs (new kernel): "timer" 12:08 after 8m0s`},
		{"a soft reboot seals in the same boot", boot("A").unlock(at(0), w).down(at(minute)).intent(at(2*minute), helper.Seal, "root").outcome(at(2*minute), helper.Locked, w), true,
			`12:00 rrs (new kernel): "seal" 12:02 after 2m0s by root`},

		{"killed between intent and outcome, then locked", boot("A").intent(at(0), helper.Unlock, "rrs").lock(at(5*minute), "rrs", w), true,
			`12:00 rrs (new kernel): "person" 12:05 after 5m0s by rrs`},
		{"killed before it changed anything, then locked", boot("A").intent(at(0), helper.Unlock, "rrs").lock(at(5*minute), "rrs", nil), true, ""},
		{"killed between intent and outcome, open", boot("now").intent(at(0), helper.Unlock, "rrs"), false,
			`12:00 rrs: ""`},
		{"killed before it changed anything", boot("now").intent(at(0), helper.Unlock, "rrs"), true, ""},
		{"pulled the plug between intent and outcome", later(boot("A").intent(at(0), helper.Unlock, "rrs")).seal(at(0)), true,
			`12:00 rrs: "crash" 12:00 after 0s sealed`},
		{"the outcome of the lock is missing", later(boot("A").unlock(at(0), w).intent(at(minute), helper.Lock, "rrs").down(at(2*minute))).lock(at(0), "eve", nil), true,
			`12:00 rrs (new kernel): "shutdown" 12:02 after 2m0s`},
		{"the beginning has left the journal", boot("A").lock(at(30*minute), "rrs", w), true,
			`12:00 rrs (new kernel): "person" 12:30 after 30m0s by rrs`},
		{"the beginning has left the journal, but for an extension", boot("A").unlock(at(20*minute), w).lock(at(30*minute), "rrs", w), true,
			`12:00 rrs (new kernel): "person" 12:30 after 30m0s by rrs`},
		{"what the helper knew of it is lost", boot("A").unlock(at(0), w).lock(at(30*minute), "rrs", nil), true,
			`12:00 rrs (new kernel): "person" 12:30 after 30m0s by rrs`},

		{"the clock set back in the window", boot("A").unlock(at(0), w).lock(setBack(30*minute, time.Hour), "rrs", w), true,
			`12:00 rrs (new kernel): "person" 11:30 after 30m0s by rrs`},
		{"the clock set forward in the window", boot("A").unlock(at(0), w).lock(setBack(30*minute, -24*time.Hour), "rrs", w), true,
			`12:00 rrs (new kernel): "person" 12:30 after 30m0s by rrs`},
		{"the clock set back between the boots", boot("A").unlock(at(0), w).then("B").seal(setBack(0, 24*time.Hour)).
			unlock(setBack(minute, 24*time.Hour), window(setBack(minute, 24*time.Hour), "eve", "")), false,
			"12:01 eve: \"crash\" 12:01 after 0s\n12:00 rrs (new kernel): \"crash\" 12:00 after 0s sealed"},
		{"records of one boot in disorder", func() *script {
			s := boot("A").unlock(at(0), w).lock(setBack(30*minute, time.Hour), "rrs", w)
			s.records = append(s.records[2:], s.records[:2]...)
			return s
		}(), true,
			`12:00 rrs (new kernel): "person" 11:30 after 30m0s by rrs`},
		{"slept, on a machine without that clock", func() *script {
			s := boot("A").unlock(at(0), w).down(moment{wall: noon.Add(time.Hour), monotonic: time.Hour + 10*minute})
			return s
		}(), false,
			`12:00 rrs (new kernel): "shutdown" 13:00 after 1h0m0s`},
		{"a cause that is not known yet", func() *script {
			s := boot("A").unlock(at(0), w).lock(at(minute), "root", w)
			s.records[3].cause = "comet"
			return s
		}(), true,
			`12:00 rrs (new kernel): "comet" 12:01 after 1m0s by root`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := lines(windows(test.script.records, present{boot: "now", locked: test.locked})); got != test.want {
				t.Errorf("windows are\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
