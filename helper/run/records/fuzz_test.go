package records

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// Whatever is in a record: the lock alone says whether the command has a guardian, the record
// of a dead one is removed by the name of its file, and what was read can be recorded again
// as it is.
func FuzzRead(f *testing.F) {
	for _, run := range []helper.Run{
		{ID: "5f", Since: time.Unix(1764331200, 0).UTC(), User: "rrs", Reason: "new kernel", Command: []string{"apt", "upgrade"}, PID: 7},
		{ID: "../../etc/passwd", Command: []string{"", "\x01\xff"}, SystemWide: true, EvenSo: true, Namespace: 1 << 63, IgnoreConfig: true},
		{},
	} {
		data, err := json.Marshal(entry{run, 8})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, true)
		f.Add(data, false)
	}
	f.Add([]byte(`{"id":"5f","holder":-1,"pid":1e3}`), true)
	f.Add([]byte(`null`), true)
	f.Add([]byte(`{"holder":`), false)
	path := filepath.Join(f.TempDir(), "5f")
	f.Fuzz(func(t *testing.T, data []byte, answered bool) {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.Write(data); err != nil {
			t.Fatal(err)
		}
		if answered {
			lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
			if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
				t.Fatal(err)
			}
		}
		e, held, err := read(path)
		switch {
		case held != answered:
			t.Fatalf("read() says that somebody answers for it: %t, want %t", held, answered)
		case !held && (e.ID != "5f" || err != nil):
			t.Fatalf("read() of a dead one = %+v, %v", e, err)
		case !held || err != nil:
			return
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("cannot record again what was read: %v", err)
		}
		var back entry
		if err := json.Unmarshal(again, &back); err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%+v is read again as %+v, %v", e, back, err)
		}
		text.CommandLine(e.Command, helper.MaxCommand)
		WindowReason(e.Run)
	})
}
