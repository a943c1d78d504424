package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/bound"
	"immutray.org/helper/journal"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
)

// openMany opens files with the longest paths that the kernel reports, of a character that
// JSON writes in six.
func (f *fixture) openMany(n int) (closeAll func()) {
	f.t.Helper()
	name := strings.Repeat("\x01", 255)
	dir, err := unix.Open(f.Root, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	for range 14 {
		if err := unix.Mkdirat(dir, name, 0o755); err != nil {
			f.t.Fatal(err)
		}
		below, err := unix.Openat(dir, name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(dir)
		if err != nil {
			f.t.Fatal(err)
		}
		dir = below
	}
	var open []int
	for i := range n {
		fd, err := unix.Openat(dir, fmt.Sprintf("\x01%d", i), unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			f.t.Fatal(err)
		}
		open = append(open, fd)
	}
	unix.Close(dir)
	return func() {
		for _, fd := range open {
			unix.Close(fd)
		}
	}
}

// However many files a user has open, and whatever their names: the answer arrives, the
// state file can be read, and the end of the window is known.
func TestVeryManyWritersWithVeryLongNames(t *testing.T) {
	const files = 700
	f := newTimedFixture(t)
	var records []journal.Entry
	f.engine.Journal = func(e journal.Entry) { records = append(records, e) }
	f.unlock(helper.Request{For: time.Minute})
	until, end := f.wall.Add(time.Minute), f.boot+time.Minute
	closeAll := f.openMany(files)
	defer closeAll()
	expect := func(when string, writers []helper.Writer, more int) {
		t.Helper()
		if len(writers) != bound.MaxWriters || len(writers)+more != files {
			t.Errorf("%s: %d writers, and %d more", when, len(writers), more)
		}
	}
	check := func(when string, r *helper.Result) {
		t.Helper()
		expect(when, r.Writers, r.MoreWriters)
		data, err := json.Marshal(r)
		if err != nil || len(data) > 200_000 {
			t.Errorf("%s: the answer has %d bytes, %v", when, len(data), err)
		}
		if !strings.Contains(r.Error+strings.Join(r.Notices, "; "), fmt.Sprintf("%d more", files-3)) {
			t.Errorf("%s: %.3000s, %.3000q", when, r.Error, r.Notices)
		}
		if info, err := os.Stat(filepath.Join(f.State, statedir.StateFile)); err != nil || info.Size() > 400_000 {
			t.Errorf("%s: the state file has %d bytes, %v", when, info.Size(), err)
		}
		if s, err := statefile.Read(f.State); err != nil || s.Last == nil || !reflect.DeepEqual(s.Last.Writers, r.Writers) {
			t.Errorf("%s: state %.500v, %v", when, s, err)
		}
	}

	r := f.run(helper.Lock)
	if r.Outcome != helper.Blocked {
		t.Errorf("lock: %s %.2000s", r.Outcome, r.Error)
	}
	check("lock", r)
	f.expectWindow("after the blocked lock", until, end)
	f.pass(time.Minute)
	check("at the end", f.due())
	if o := f.status().Overdue; o == nil {
		t.Error("nothing is on record of the blocked end")
	} else {
		expect("on record", o.Writers, o.MoreWriters)
	}
	check("by force", f.must(helper.LockForce))
	for _, e := range records {
		size := len(e.Message)
		for _, v := range e.Fields {
			size += len(v)
		}
		if size > 20_000 {
			t.Errorf("a record of the journal has %d bytes: %.1000s", size, e.Message)
		}
	}
	closeAll()
	if r := f.due(); r.Outcome != helper.Done {
		t.Errorf("without the writers: %s %s", r.Outcome, r.Error)
	}
}
