package helper

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPathState(t *testing.T) {
	for _, c := range []struct {
		property, mount, superblock Flag
		want                        State
	}{
		{ReadOnly, ReadOnly, Writable, Locked},
		{ReadOnly, ReadOnly, ReadOnly, Locked},
		{ReadOnly, Writable, Writable, OpenMount},
		{ReadOnly, Writable, ReadOnly, OpenMount},
		{Writable, ReadOnly, Writable, MountOnly},
		{Writable, ReadOnly, ReadOnly, MountOnly},
		{Writable, Writable, ReadOnly, MountOnly},
		{Writable, Writable, Writable, Unlocked},
		{NoFlag, ReadOnly, Writable, Locked},
		{NoFlag, Writable, Writable, Unlocked},
		{NoFlag, Writable, ReadOnly, MountOnly},
		{"", ReadOnly, Writable, Unknown},
		{ReadOnly, "", "", Unknown},
	} {
		if got := PathState(c.property, c.mount, c.superblock); got != c.want {
			t.Errorf("PathState(property %q, mount %q, superblock %q) = %s, want %s", c.property, c.mount, c.superblock, got, c.want)
		}
	}
}

func TestOverallState(t *testing.T) {
	for want, cases := range map[State][][]State{
		Locked:       {{Locked}, {Locked, Locked}},
		Unlocked:     {{Unlocked}, {Locked, Unlocked}, {Unlocked, Unknown}, {OpenMount, Unlocked}},
		PartlyLocked: {{OpenMount}, {MountOnly}, {Locked, OpenMount}, {Locked, MountOnly}},
		Unknown:      {{}, {Unknown}, {Locked, Unknown}, {OpenMount, Unknown}},
	} {
		for _, states := range cases {
			var paths []PathStatus
			for _, s := range states {
				paths = append(paths, PathStatus{State: s})
			}
			if got := OverallState(paths); got != want {
				t.Errorf("OverallState(%v) = %s, want %s", states, got, want)
			}
		}
	}
}

// Others parse this: the names are a promise.
func TestStatusAsJSON(t *testing.T) {
	until := time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)
	status := Status{
		State:  PartlyLocked,
		Paths:  []PathStatus{{Path: "/", Filesystem: "btrfs", Subvolume: "/ROOTVOL", SubvolumeID: 256, Property: ReadOnly, Mount: Writable, Superblock: Writable, State: OpenMount}},
		Window: &Window{Since: until.Add(-time.Hour), Until: &until, UID: 1000, User: "rrs", Reason: "apt upgrade"},
	}
	const want = `{"state":"partly-locked","paths":[{"path":"/","filesystem":"btrfs","subvolume":"/ROOTVOL","subvolume_id":256,` +
		`"property":"ro","mount":"rw","superblock":"rw","state":"open-mount","error":""}],` +
		`"window":{"since":"2026-11-23T13:30:00Z","until":"2026-11-23T14:30:00Z","uid":1000,"user":"rrs","reason":"apt upgrade"}}`
	if got, err := json.Marshal(status); err != nil || string(got) != want {
		t.Errorf("JSON of a status = %s, %v\nwant %s", got, err, want)
	}
}

func TestExitCodesStayOutOfPkexecsWay(t *testing.T) {
	want := map[Outcome]int{Done: 0, Failed: 1, Usage: 2, Blocked: 3, NotPrepared: 4, PackageManager: 5, ConfigRefused: 6, TooLong: 2, "": 1, "something new": 1}
	for outcome, code := range want {
		if got := outcome.ExitCode(); got != code || got >= 126 {
			t.Errorf("Outcome(%q).ExitCode() = %d, want %d", outcome, got, code)
		}
	}
}

func TestResultErr(t *testing.T) {
	if err := (&Result{Outcome: Done}).Err(); err != nil {
		t.Errorf("Err() of a done result = %v", err)
	}
	if err := (&Result{Request: Request{Verb: Lock}, Outcome: Failed}).Err(); err == nil || !strings.Contains(err.Error(), "cannot lock") {
		t.Errorf("Err() of a failed result without text = %v", err)
	}
}

func TestParseVerb(t *testing.T) {
	for _, v := range Verbs() {
		if got, ok := ParseVerb(string(v)); !ok || got != v {
			t.Errorf("ParseVerb(%q) = %q, %v", v, got, ok)
		}
	}
	for v, want := range map[Verb]bool{Lock: false, LockForce: false, Unlock: false, Seal: true, Unseal: true} {
		if v.AtBoot() != want {
			t.Errorf("%s.AtBoot() = %t, want %t", v, v.AtBoot(), want)
		}
	}
	for _, s := range []string{"", "LOCK", "lock ", "lock\x00", "lock-forced", "relock"} {
		if got, ok := ParseVerb(s); ok {
			t.Errorf("ParseVerb(%q) = %q, want none", s, got)
		}
	}
}
