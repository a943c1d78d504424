package engine

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/journal"
)

// send starts a backup of a protected subvolume that goes on until the returned function is
// called, because its output is not read before.
func (f *fixture) send(path string) (pid int, end func()) {
	f.t.Helper()
	stream, into, err := os.Pipe()
	if err != nil {
		f.t.Fatal(err)
	}
	send := exec.Command("btrfs", "send", "--quiet", path)
	send.Stdout = into
	if err := send.Start(); err != nil {
		f.t.Fatal(err)
	}
	into.Close()
	// It has begun to send when there is something to read.
	if _, err := stream.Read(make([]byte, 1)); err != nil {
		f.t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		stream.Close() // kills it with SIGPIPE
		send.Wait()
	})
	f.t.Cleanup(end)
	return send.Process.Pid, end
}

// While a subvolume is being sent, the kernel refuses to make it writable.
func TestABackupIsNamed(t *testing.T) {
	f := newFixture(t)
	writeFile(t, filepath.Join(f.Root, "big"), strings.Repeat("0123456789abcdef", 1<<16))
	f.must(helper.Lock)
	pid, end := f.send(f.Root)
	check := func(what string, r *helper.Result) {
		t.Helper()
		if r.Outcome != helper.Failed || r.Backup == nil || r.Backup.PID != pid || r.Backup.Program != "btrfs" ||
			!strings.Contains(r.Error, "a backup is reading it (btrfs send)") || strings.Contains(r.Error, "not permitted") {
			t.Errorf("%s = %s, backup %+v: %s", what, r.Outcome, r.Backup, r.Error)
		}
		f.expect("after "+what, helper.Locked)
	}
	check("unlock", f.run(helper.Unlock))
	_, result := f.engine.Grant(context.Background(), helper.Run{ID: "test", EvenSo: true, Command: []string{"true"}})
	check("run", result)

	// It is waited for, some time from when the unlock has begun.
	waiting := *f.engine
	waiting.Journal = func(e journal.Entry) {
		if e.MessageID == journal.Intent {
			time.AfterFunc(time.Second, end)
		}
	}
	if r := waiting.Run(t.Context(), helper.Request{Verb: helper.Unlock, ID: "waits", User: "root"}); r.Outcome != helper.Done {
		t.Errorf("unlock while a backup ends = %s: %s", r.Outcome, r.Error)
	}
	f.expect("after the backup", helper.Unlocked)
}

// A root subvolume that came by "btrfs receive" is no copy any more from the moment it is
// writable: with its mark the next incremental receive would build on something else.
func TestAReceivedSubvolumeLosesItsMark(t *testing.T) {
	f := newFixture(t)
	for _, d := range []string{"snapshots", "received"} {
		if err := os.Mkdir(filepath.Join(f.Top, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	snapshot := filepath.Join(f.Top, "snapshots/etc")
	writeFile(t, filepath.Join(f.Etc, "file"), "as it was sent")
	f.command("btrfs", "subvolume", "snapshot", "-r", f.Etc, snapshot)
	f.command("sh", "-c", "btrfs send --quiet '"+snapshot+"' | btrfs receive --quiet '"+filepath.Join(f.Top, "received")+"'")
	f.command("umount", f.Etc)
	f.command("mount", "-o", "subvol=/received/etc", f.Device, f.Etc)
	if !received(t, f.Etc) {
		t.Fatal("the subvolume is not marked as received")
	}
	f.must(helper.Lock)
	if !received(t, f.Etc) {
		t.Error("a lock has taken the mark")
	}
	r := f.must(helper.Unlock)
	if len(r.Notices) != 1 || !strings.Contains(r.Notices[0], f.Etc) || !strings.Contains(r.Notices[0], "btrfs receive") {
		t.Errorf("notices %q, want one about the mark", r.Notices)
	}
	if received(t, f.Etc) {
		t.Error("the mark is still there")
	}
	f.expect("after unlock", helper.Unlocked)
	if r := f.must(helper.Unlock); len(r.Notices) > 0 {
		t.Errorf("notices %q the second time", r.Notices)
	}
}

func received(t *testing.T, path string) bool {
	t.Helper()
	out, err := exec.Command("btrfs", "subvolume", "show", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out) {
		if name, value, found := bytes.Cut(line, []byte(":")); found && string(bytes.TrimSpace(name)) == "Received UUID" {
			return string(bytes.TrimSpace(value)) != "-"
		}
	}
	t.Fatalf("no received UUID in %s", out)
	return false
}
