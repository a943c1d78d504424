package bound

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// huge is what somebody without rights may name a file, only longer: JSON writes a byte
// of it in six.
var huge = strings.Repeat("\x01", 100_000)

func hugeResult() *helper.Result {
	status := func() *helper.Status {
		s := &helper.Status{}
		for i := range 20 {
			if i < 4 {
				s.Paths = append(s.Paths, helper.PathStatus{Path: "/", Error: huge})
			}
			s.Runs = append(s.Runs, helper.Run{Command: []string{huge, huge}})
			s.Runs = append(s.Runs, helper.Run{Command: strings.Split(huge, "")})
		}
		s.Overdue = &helper.Overdue{Error: huge, Writers: hugeWriters(700)}
		return s
	}
	r := &helper.Result{
		Request: helper.Request{User: huge},
		Error:   huge,
		Writers: hugeWriters(700),
		Busy:    &helper.Busy{Program: huge},
		Before:  status(),
		Status:  status(),
	}
	for range 700 {
		r.Notices = append(r.Notices, huge)
	}
	return r
}

func hugeWriters(n int) []helper.Writer {
	writers := make([]helper.Writer, n)
	for i := range writers {
		writers[i] = helper.Writer{Path: huge, PID: 7, Program: huge, UID: 1000, User: huge, Unit: huge, Device: huge}
	}
	return writers
}

// Whatever anybody does, an answer stays well below what its readers take.
func TestBound(t *testing.T) {
	r := hugeResult()
	Result(r)
	data, err := json.Marshal(r)
	if err != nil || len(data) > helper.MaxAnswer/5 {
		t.Errorf("the result has %d bytes, %v; want far less than %d", len(data), err, helper.MaxAnswer)
	}
	if len(r.Writers) != MaxWriters || r.MoreWriters != 700-MaxWriters {
		t.Errorf("%d writers, and %d more", len(r.Writers), r.MoreWriters)
	}
	again := *r
	Result(&again)
	if !reflect.DeepEqual(&again, r) {
		t.Error("bound a second time, it is another")
	}
	small := helper.Result{Error: "cannot lock", Notices: []string{"a"}, Writers: []helper.Writer{{Path: "/x"}}, Before: &helper.Status{Runs: []helper.Run{{Command: []string{"vi", "/x"}}}}}
	want := small
	if Result(&small); !reflect.DeepEqual(small, want) {
		t.Errorf("a small result became %+v", small)
	}
}

// One who opens many files hides nobody else.
func TestBoundKeepsEveryone(t *testing.T) {
	var all []helper.Writer
	for i := range 700 {
		all = append(all, helper.Writer{PID: 7, UID: 1000, Path: fmt.Sprint(i)})
	}
	all = append(all, helper.Writer{PID: 8, UID: 1000, Path: "other process"}, helper.Writer{PID: 9, UID: 0, Path: "root's"})
	kept, more := writers(all, 0)
	if len(kept) != MaxWriters || more != 702-MaxWriters || kept[MaxWriters-1].PID != 9 || kept[MaxWriters-2].PID != 8 || kept[0].Path != "0" {
		t.Errorf("kept %+v, and %d more", kept, more)
	}
}

func TestBoundCommand(t *testing.T) {
	r := helper.Run{Since: time.Time{}, Command: command(append([]string{"apt", "install"}, strings.Split(huge, "")...))}
	if n := len([]rune(text.CommandLine(r.Command, 1<<30))); n > 6*helper.MaxCommand || len(r.Command) > helper.MaxCommand || r.Program() != "apt" {
		t.Errorf("%d words, %d characters: %.50q", len(r.Command), n, r.Command)
	}
}
