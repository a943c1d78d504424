package helper

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// huge is what somebody without rights may name a file, only longer: JSON writes a byte
// of it in six.
var huge = strings.Repeat("\x01", 100_000)

func hugeResult() *Result {
	status := func() *Status {
		s := &Status{}
		for i := range 20 {
			if i < 4 {
				s.Paths = append(s.Paths, PathStatus{Path: "/", Error: huge})
			}
			s.Runs = append(s.Runs, Run{Command: []string{huge, huge}})
			s.Runs = append(s.Runs, Run{Command: strings.Split(huge, "")})
		}
		s.Overdue = &Overdue{Error: huge, Writers: hugeWriters(700)}
		return s
	}
	r := &Result{
		Request: Request{User: huge},
		Error:   huge,
		Writers: hugeWriters(700),
		Holder:  &LockHolder{Program: huge},
		Before:  status(),
		Status:  status(),
	}
	for range 700 {
		r.Notices = append(r.Notices, huge)
	}
	return r
}

func hugeWriters(n int) []Writer {
	writers := make([]Writer, n)
	for i := range writers {
		writers[i] = Writer{Path: huge, PID: 7, Program: huge, UID: 1000, User: huge, Unit: huge, Device: huge}
	}
	return writers
}

// Whatever anybody does, an answer stays well below what its readers take.
func TestBound(t *testing.T) {
	r := hugeResult()
	r.Bound()
	data, err := json.Marshal(r)
	if err != nil || len(data) > maxAnswer/5 {
		t.Errorf("the result has %d bytes, %v; want far less than %d", len(data), err, maxAnswer)
	}
	if len(r.Writers) != MaxWriters || r.MoreWriters != 700-MaxWriters {
		t.Errorf("%d writers, and %d more", len(r.Writers), r.MoreWriters)
	}
	again := *r
	again.Bound()
	if !reflect.DeepEqual(&again, r) {
		t.Error("bound a second time, it is another")
	}
	small := Result{Error: "cannot lock", Notices: []string{"a"}, Writers: []Writer{{Path: "/x"}}, Before: &Status{Runs: []Run{{Command: []string{"vi", "/x"}}}}}
	want := small
	if small.Bound(); !reflect.DeepEqual(small, want) {
		t.Errorf("a small result became %+v", small)
	}
}

// One who opens many files hides nobody else.
func TestBoundKeepsEveryone(t *testing.T) {
	var all []Writer
	for i := range 700 {
		all = append(all, Writer{PID: 7, UID: 1000, Path: fmt.Sprint(i)})
	}
	all = append(all, Writer{PID: 8, UID: 1000, Path: "other process"}, Writer{PID: 9, UID: 0, Path: "root's"})
	kept, more := boundWriters(all, 0)
	if len(kept) != MaxWriters || more != 702-MaxWriters || kept[MaxWriters-1].PID != 9 || kept[MaxWriters-2].PID != 8 || kept[0].Path != "0" {
		t.Errorf("kept %+v, and %d more", kept, more)
	}
}

func TestCutMiddle(t *testing.T) {
	for text, want := range map[string]string{"": "", "1234567": "1234567", "12345678": "123…678", "äöüäöüäöü": "äöü…äöü"} {
		if got := cutMiddle(text, 7); got != want {
			t.Errorf("cutMiddle(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestBoundCommand(t *testing.T) {
	r := Run{Since: time.Time{}, Command: boundCommand(append([]string{"apt", "install"}, strings.Split(huge, "")...))}
	if n := len([]rune(r.Words(1 << 30))); n > 6*MaxCommand || len(r.Command) > MaxCommand || r.Program() != "apt" {
		t.Errorf("%d words, %d characters: %.50q", len(r.Command), n, r.Command)
	}
}
