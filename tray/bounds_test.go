package tray

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/icons"
)

func TestBuildBoundsItsLists(t *testing.T) {
	s := snapshot{obstacle: obstacle{Failure: &failure{Blocked: true, Err: errors.New("x")}}}
	for i := range 1000 {
		s.Report.Status.Paths = append(s.Report.Status.Paths, path(fmt.Sprintf("/%d", i), helper.Writable, helper.Writable))
		s.Failure.Writers = append(s.Failure.Writers, helper.Writer{PID: i, Path: strings.Repeat("long", 1000)})
	}
	for i := range 1000 {
		s.Report.Status.StillReadOnly = append(s.Report.Status.StillReadOnly, helper.Bystander{PID: i, Program: strings.Repeat("long", 1000)})
	}
	s.Report.Status.State = helper.Unlocked
	s.Report.NotReady = []string{strings.Repeat("word ", 10000)}
	s.Past = &past{Err: errors.New(strings.Repeat("word ", 10000))}
	s.Faults = []string{strings.Repeat("word ", 10000)}
	m := build(s)
	counts := map[entryID]int{}
	count(m.Menu, counts)
	for list, most := range map[entryID]int{"path": maxPaths, "why": maxWhy, "writer": maxLines, "past": maxPast, "fault": maxLines} {
		if counts[list] > most || counts[list] == 0 {
			t.Errorf("%d entries of %s, want at most %d", counts[list], list, most)
		}
	}
	if text := m.text(); !strings.Contains(text, "(and 993 more)") || !strings.Contains(text, "(and 989 more)") {
		t.Errorf("what is left out is not counted:\n%s", text)
	}
	if n := counts["again"]; n == 0 || n > maxAgain || counts["too long"] > 0 {
		t.Errorf("%d lines name who is to be started again, and %d are too long", n, counts["too long"])
	}
	if n := len(m.Tooltip); n > 500 {
		t.Errorf("the tooltip has %d bytes", n)
	}
}

func count(items []item, counts map[entryID]int) {
	for _, item := range items {
		list, _, _ := strings.Cut(string(item.ID), ".")
		counts[entryID(list)]++
		if len(item.Label) > 600 {
			counts["too long"]++
		}
		count(item.Children, counts)
	}
}

func TestIconOfEveryState(t *testing.T) {
	for state, want := range map[helper.State]icons.Name{
		helper.Locked: icons.Locked, helper.Unlocked: icons.Unlocked, helper.PartlyLocked: icons.PartlyLocked,
		helper.Unknown: icons.Unknown, "": icons.Unknown, "a state of a newer version": icons.Unknown,
	} {
		if got := build(snapshot{Report: report{Status: helper.Status{State: state}}}).Icon; got != want {
			t.Errorf("Build(%q).Icon = %s, want %s", state, got, want)
		}
	}
}
