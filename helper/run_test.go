package helper

import (
	"testing"
)

func TestProgram(t *testing.T) {
	if (Run{}).Program() != "unknown" || (Run{Command: []string{"/usr/bin/apt", "x"}}).Program() != "apt" {
		t.Error("a command is not called by its program")
	}
}

func TestStateWithCommands(t *testing.T) {
	path := func(property, mount Flag) PathStatus {
		return PathStatus{Property: property, Mount: mount, Superblock: Writable, State: PathState(property, mount, Writable)}
	}
	locked, granted, open := path(ReadOnly, ReadOnly), path(Writable, ReadOnly), path(ReadOnly, Writable)
	unlocked, ext4 := path(Writable, Writable), path(NoFlag, ReadOnly)
	remount := PathStatus{Property: Writable, Mount: Writable, Superblock: ReadOnly, State: MountOnly}
	plain, wide := Run{ID: "plain"}, Run{ID: "wide", SystemWide: true}
	for name, test := range map[string]struct {
		paths []PathStatus
		runs  []Run
		state State
		shown int // how many of the commands
	}{
		"none":                          {[]PathStatus{granted, granted}, nil, PartlyLocked, 0},
		"granted":                       {[]PathStatus{granted, granted, ext4}, []Run{plain}, Locked, 1},
		"granted in part":               {[]PathStatus{granted, locked}, []Run{plain, plain}, Locked, 2},
		"the grant was ended by force":  {[]PathStatus{locked, ext4}, []Run{plain}, Locked, 0},
		"system-wide":                   {[]PathStatus{unlocked, unlocked}, []Run{wide}, Unlocked, 1},
		"system-wide, not unlocked yet": {[]PathStatus{locked, locked}, []Run{wide}, Locked, 1},
		"system-wide, mount only":       {[]PathStatus{granted, locked}, []Run{wide}, PartlyLocked, 1},
		"unlocked meanwhile":            {[]PathStatus{unlocked, granted}, []Run{plain}, Unlocked, 1},
		"an open mount":                 {[]PathStatus{open, granted}, []Run{plain}, PartlyLocked, 1},
		"one remount from unlocked":     {[]PathStatus{remount, granted}, []Run{plain}, PartlyLocked, 1},
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
