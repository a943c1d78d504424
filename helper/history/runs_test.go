package history

import (
	"testing"
	"time"

	"immutray.org/helper"
)

// begin is the intent of a command; its id is its command line.
func (s *script) begin(at moment, command string) *script {
	return s.add(record{moment: at, kind: intent, verb: helper.RunCommand, cause: helper.ByPerson, user: "root", request: command, command: command})
}

func (s *script) end(at moment, command string, o helper.Outcome, state helper.State) *script {
	return s.add(record{moment: at, kind: outcome, verb: helper.RunCommand, cause: helper.ByPerson, user: "root", request: command, command: command, outcome: o, state: state})
}

func (s *script) force(at moment, user string) *script {
	s.intent(at, helper.LockForce, user).outcome(at, helper.Locked, nil)
	s.records[len(s.records)-1].outcome = helper.Done
	return s
}

func TestCommands(t *testing.T) {
	w := window(at(minute), "rrs", "")
	for _, test := range []struct {
		name   string
		script *script
		now    present
		want   string
	}{
		{"one", boot("A").begin(at(0), "apt").end(at(3*minute), "apt", helper.Done, helper.Locked), present{boot: "A", locked: true},
			`12:00 root [apt]: "run" 12:03 after 3m0s`},
		{"at work", boot("A").begin(at(0), "apt"), present{boot: "A", locked: true, atWork: []string{"vi", "apt"}},
			`12:00 root [apt]: ""`},
		{"its guardian was killed", boot("A").begin(at(0), "apt"), present{boot: "A", locked: true},
			`12:00 root [apt]: "unseen"`},
		{"the same, and everything stayed writable", boot("A").begin(at(0), "apt"), present{boot: "A"},
			`12:00 root [apt]: "unseen"`},
		{"another guardian took over", boot("A").begin(at(0), "apt").begin(at(minute), "apt").end(at(3*minute), "apt", helper.Done, helper.Locked), present{boot: "A", locked: true},
			`12:00 root [apt]: "run" 12:03 after 3m0s`},
		{"could not be begun", boot("A").begin(at(0), "apt").end(at(0), "apt", helper.Failed, helper.Locked), present{boot: "A", locked: true},
			``},
		{"refused before it was begun", boot("A").end(at(0), "apt", helper.Failed, helper.PartlyLocked), present{boot: "A", locked: true},
			``},
		{"the property could not be set again", boot("A").begin(at(0), "apt").end(at(minute), "apt", helper.Failed, helper.PartlyLocked), present{boot: "A"},
			`12:00 root [apt]: "run" 12:01 after 1m0s`},
		{"two, and a window between that outlasts them", boot("A").begin(at(0), "apt").unlock(at(minute), w).begin(at(2*minute), "vi").
			end(at(3*minute), "apt", helper.Done, helper.Unlocked).end(at(4*minute), "vi", helper.Done, helper.Unlocked), present{boot: "A"},
			"12:02 root [vi]: \"run\" 12:04 after 2m0s\n12:01 rrs: \"\"\n12:00 root [apt]: \"run\" 12:03 after 3m0s"},
		{"a lock has nothing to end", boot("A").begin(at(0), "apt").lock(at(minute), "rrs", nil).end(at(3*minute), "apt", helper.Done, helper.Locked), present{boot: "A", locked: true},
			`12:00 root [apt]: "run" 12:03 after 3m0s`},
		{"ended by force", boot("A").begin(at(0), "apt").force(at(minute), "eve").end(at(3*minute), "apt", helper.Done, helper.Locked), present{boot: "A", locked: true},
			`12:00 root [apt]: "person" 12:01 after 1m0s by eve`},
		{"shut down, returned in time", boot("A").begin(at(0), "apt").down(at(minute)).end(at(minute), "apt", helper.Done, helper.Locked).then("B").seal(at(time.Hour)), present{boot: "B", locked: true},
			`12:00 root [apt]: "run" 12:01 after 1m0s`},
		{"shut down", boot("A").begin(at(0), "apt").down(at(minute)).then("B").seal(at(time.Hour)), present{boot: "B", locked: true},
			`12:00 root [apt]: "seal" 12:01 after 1m0s sealed`},
		{"a power cut, beside a window", boot("A").begin(at(0), "apt").unlock(at(minute), w).then("B").seal(at(time.Hour)), present{boot: "B", locked: true},
			"12:01 rrs: \"crash\" 12:01 after 0s sealed\n12:00 root [apt]: \"crash\" 12:01 after 1m0s sealed"},
		{"a power cut, not sealed", boot("A").begin(at(0), "apt").then("B"), present{boot: "B"},
			`12:00 root [apt]: "crash" 12:00 after 0s`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lines(windows(test.script.records, test.now)); got != test.want {
				t.Errorf("windows are\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestWordsOfCommands(t *testing.T) {
	for _, test := range []struct {
		w         Window
		why, ends string
	}{
		{Window{Window: helper.Window{Reason: "new kernel"}}, "new kernel", "still open"},
		{Window{Command: "apt"}, "immutectl run: apt", "running"},
		{Window{Command: "apt", Window: helper.Window{Reason: "new kernel"}, End: Command}, "new kernel: apt", "the command ended"},
		{Window{Command: "apt", End: Person, LockedBy: "eve"}, "immutectl run: apt", "locked by eve"},
		{Window{Command: "apt", End: Crash, Sealed: true}, "immutectl run: apt", "crash or power cut, sealed at the next boot"},
	} {
		if why, ends := test.w.Why(), test.w.EndWords(); why != test.why || ends != test.ends {
			t.Errorf("%+v: %q, %q, want %q, %q", test.w, why, ends, test.why, test.ends)
		}
	}
}
