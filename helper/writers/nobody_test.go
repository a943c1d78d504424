package writers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// nobody is the user id of the user nobody, who owns nothing.
const nobody = 65534

// A nobodysScan is what a child that is not root found.
type nobodysScan struct {
	Writers   []helper.Writer
	Processes int
	Denied    bool
}

// scanAsNobody gives up being root, holds the file and an opened and mapped one beside
// it, and prints what a scan finds.
func scanAsNobody(path string) error {
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(nobody); err != nil {
		return err
	}
	if err := syscall.Setuid(nobody); err != nil {
		return err
	}
	// A process that changed its user hides its /proc from that user (PR_SET_DUMPABLE
	// in prctl(2)); one that a user has started does not.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := hold(path, unix.O_RDWR); err != nil {
		return err
	}
	if err := mapped(path+".mapped", unix.O_RDWR, unix.PROT_READ, unix.MAP_PRIVATE); err != nil {
		return err
	}
	var result nobodysScan
	var incomplete *IncompleteError
	var err error
	result.Writers, err = new(Scanner).Scan(context.Background(), []string{filepath.Dir(path)})
	if errors.As(err, &incomplete) {
		result.Processes = incomplete.Processes
		result.Denied = errors.Is(err, fs.ErrPermission)
	} else if err != nil {
		return err
	}
	data, err := json.Marshal(result)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	fmt.Println(string(data))
	return nil
}

func TestScanWithoutRoot(t *testing.T) {
	s := lab.New(t)
	path := create(t, filepath.Join(s.Root, "file"))
	for _, name := range []string{path, create(t, path+".mapped")} {
		must(t, "chown", strconv.Itoa(nobody), name)
	}
	start(t, "write", create(t, filepath.Join(s.Root, "root's")))
	attach(t, s)
	c := start(t, "scan as nobody", path)
	line, err := c.lines.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var got nobodysScan
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	// Its own files, and of the kernel's what sysfs tells everyone.
	want := map[string]helper.WriterKind{
		path:                                helper.WriterFile,
		path + ".mapped":                    helper.WriterMapping,
		filepath.Join(s.Root, "disk image"): helper.WriterLoop,
	}
	for _, w := range got.Writers {
		if want[w.Path] != w.Kind || w.Protected != s.Root {
			t.Errorf("unexpected writer %+v", w)
		}
		if w.Kind != helper.WriterLoop && (w.PID != c.pid || w.UID != nobody || w.User != userName(nobody)) {
			t.Errorf("%s is said to be held by %+v", w.Path, w)
		}
		delete(want, w.Path)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	// PID 1 of the lab, the test, and the child that writes. Kernel threads, which
	// there are none of in the lab, don't count. Loop devices of other programs on
	// the machine may be there, with files that the lab does not see.
	if got.Processes != 3 || !got.Denied {
		t.Errorf("the scan is incomplete by %d processes, denied = %v; want 3, true", got.Processes, got.Denied)
	}
}

func userName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return strconv.Itoa(uid)
	}
	return u.Username
}
