package engine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// inFlight opens a file for writing and leaves it on its way: no process has it open, it
// waits in a socket.
func inFlight(t *testing.T, name string) (receive func() *os.File) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(ends[0]); unix.Close(ends[1]) })
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(ends[0], []byte("x"), unix.UnixRights(int(file.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	file.Close()
	return func() *os.File {
		t.Helper()
		buf := make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := unix.Recvmsg(ends[1], make([]byte, 1), buf, 0)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := unix.ParseSocketControlMessage(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fds[0]), name)
	}
}

// besideWords is part of the notice of a mount where a writer could not be ruled out.
const besideWords = "a file that is open for writing there may have been overlooked"

// A file that is being passed on is open, but no process has it open. Through the mount of the path
// the kernel says so; where only another mount knows of it, the answer says that there is
// one, once for both paths.
func TestAFileOnItsWayThroughAnotherMount(t *testing.T) {
	f := newFixture(t)
	receive := inFlight(t, filepath.Join(f.Top, "ROOTVOL/etc/file"))
	r := f.must(helper.Lock)
	want := "the system is also mounted at " + strconv.Quote(f.Top) + ", writable: " + besideWords
	if len(r.Notices) != 1 || r.Notices[0] != want {
		t.Errorf("notices %q, want %q", r.Notices, want)
	}
	if _, err := receive().WriteString("more"); err != nil {
		t.Errorf("what the notice warns of does not happen: %v", err)
	}
	f.must(helper.Unlock)

	held := inFlight(t, filepath.Join(f.Etc, "file"))
	if r := f.run(helper.Lock); r.Outcome != helper.Blocked {
		t.Errorf("a file on its way through the path's own mount: %s", r.Outcome)
	}
	held().Close()
}

// There is no such notice where no mount is writable besides, nor for the copies in other
// namespaces, which are locked too; and one that only a service has is named as its own.
func TestWhatIsMountedBesides(t *testing.T) {
	f := newFixture(t)
	service := f.settle("mkdir -p state/own; mount --bind top state/own", 0)
	f.closeTop()
	r := f.must(helper.Lock)
	if len(r.Notices) != 1 || !strings.Contains(r.Notices[0], "state/own") || !strings.Contains(r.Notices[0], "(pid "+strconv.Itoa(service.pid())+")") {
		t.Errorf("notices %q", r.Notices)
	}
	f.must(helper.Unlock)
	service.stop()
	f.settle("true", 0)
	f.engine.Config.Paths = []string{f.Etc, f.Root} // the mount of / shows /etc too, and is not locked yet
	if r := f.must(helper.Lock); len(r.Notices) > 0 {
		t.Errorf("no mount is left besides, and the notices are %q", r.Notices)
	}
}
