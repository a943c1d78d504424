package helper

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWordsOfACommand(t *testing.T) {
	for _, test := range []struct {
		command []string
		want    string
	}{
		{nil, ""},
		{[]string{"apt", "upgrade", "--purge"}, "apt upgrade --purge"},
		{[]string{"sh", "-c", "echo a", ""}, `sh -c "echo a" ""`},
		{[]string{"a\"b", "\x1b[31m", "a\u202eb", "\xff"}, `"a\"b" "\x1b[31m" "a\u202eb" "\xff"`},
		{[]string{"Größe"}, "Größe"},
	} {
		if got := (Run{Command: test.command}).Words(MaxCommand); got != test.want {
			t.Errorf("%q is %s, want %s", test.command, got, test.want)
		}
	}
	long := Run{Command: []string{strings.Repeat("ä", 2*MaxCommand)}, Reason: strings.Repeat("ö", MaxReason)}
	if got := long.Words(MaxCommand); utf8.RuneCountInString(got) != MaxCommand || !strings.HasSuffix(got, "ä…") {
		t.Errorf("a long command is %s", got)
	}
	if (Run{}).Program() != "unknown" || (Run{Command: []string{"/usr/bin/apt", "x"}}).Program() != "apt" {
		t.Error("a command is not called by its program")
	}
}

// The helper takes it as a reason: it is none that would be refused or escaped.
func TestReasonOfASystemWideCommand(t *testing.T) {
	for want, run := range map[string]Run{
		"immutectl run: apt":                           {Command: []string{"/usr/bin/apt", "upgrade"}},
		`new kernel: "a\nb"`:                           {Command: []string{"a\nb", "--password", "x"}, Reason: "new kernel"},
		strings.Repeat("ö", MaxReason-1) + "…":         {Command: []string{"a"}, Reason: strings.Repeat("ö", MaxReason)},
		"x: " + strings.Repeat("y", MaxReason-4) + "…": {Command: []string{strings.Repeat("y", 9000)}, Reason: "x"},
	} {
		got := run.WindowReason()
		if clean, err := CleanReason(got); got != want || err != nil || clean != got {
			t.Errorf("the reason is %q, want %q; as one of a window %q, %v", got, want, clean, err)
		}
	}
}

func TestStateWithCommands(t *testing.T) {
	path := func(property, mount Flag) PathStatus {
		return PathStatus{Property: property, Mount: mount, Superblock: Writable, State: PathState(property, mount, Writable)}
	}
	locked, lent, open := path(ReadOnly, ReadOnly), path(Writable, ReadOnly), path(ReadOnly, Writable)
	unlocked, ext4 := path(Writable, Writable), path(NoFlag, ReadOnly)
	remount := PathStatus{Property: Writable, Mount: Writable, Superblock: ReadOnly, State: MountOnly}
	plain, wide := Run{ID: "plain"}, Run{ID: "wide", SystemWide: true}
	for name, test := range map[string]struct {
		paths []PathStatus
		runs  []Run
		state State
		shown int // how many of the commands
	}{
		"none":                          {[]PathStatus{lent, lent}, nil, PartlyLocked, 0},
		"lent":                          {[]PathStatus{lent, lent, ext4}, []Run{plain}, Locked, 1},
		"lent in part":                  {[]PathStatus{lent, locked}, []Run{plain, plain}, Locked, 2},
		"the loan was ended by force":   {[]PathStatus{locked, ext4}, []Run{plain}, Locked, 0},
		"system-wide":                   {[]PathStatus{unlocked, unlocked}, []Run{wide}, Unlocked, 1},
		"system-wide, not unlocked yet": {[]PathStatus{locked, locked}, []Run{wide}, Locked, 1},
		"system-wide, mount only":       {[]PathStatus{lent, locked}, []Run{wide}, PartlyLocked, 1},
		"unlocked meanwhile":            {[]PathStatus{unlocked, lent}, []Run{plain}, Unlocked, 1},
		"an open mount":                 {[]PathStatus{open, lent}, []Run{plain}, PartlyLocked, 1},
		"one remount from unlocked":     {[]PathStatus{remount, lent}, []Run{plain}, PartlyLocked, 1},
	} {
		s := Status{Paths: test.paths}
		s.SetRuns(test.runs)
		if s.State != test.state || len(s.Runs) != test.shown {
			t.Errorf("%s: %s with %d commands, want %s with %d", name, s.State, len(s.Runs), test.state, test.shown)
		}
		if s.Paths[0].State == Locked && test.paths[0].Property == Writable {
			t.Errorf("%s: a path is called locked: %+v", name, s.Paths)
		}
	}
}
