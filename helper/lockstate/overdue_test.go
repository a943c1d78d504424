package lockstate

import (
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/statefile"
	"immutray.org/packaging/testbed/lab"
)

// Each attempt to lock at the end of a window wakes who watches, without a look at the
// clock; whatever the file says, a system that is locked waits for nothing.
func TestWatchWakesOnWhatALockWaitsFor(t *testing.T) {
	s := lab.New(t)
	w := start(t, &Reader{Paths: []string{s.Etc}, StateDir: s.State}, time.Hour)
	w.expect(t, "the first look", func(st helper.Status) bool { return st.Overdue == nil })
	for _, why := range []string{"first", "second"} {
		o := &helper.Overdue{Outcome: helper.Blocked, Error: why, Writers: []helper.Writer{{PID: 7}}}
		if err := statefile.Write(s.State, statefile.State{Overdue: o}); err != nil {
			t.Fatal(err)
		}
		w.expect(t, "the record", func(st helper.Status) bool { return st.Overdue != nil && st.Overdue.Error == why })
	}
	run(t, "btrfs", "property", "set", s.Etc, "ro", "true")
	run(t, "mount", "-o", "remount,bind,ro", s.Etc)
	w.expect(t, "the lock", func(st helper.Status) bool { return st.State == helper.Locked && st.Overdue == nil })
	w.stop(t)
}
