package writers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// busy asks the kernel whether it would let the mount become read-only.
func busy(t *testing.T, mount string) bool {
	t.Helper()
	err := unix.MountSetattr(unix.AT_FDCWD, mount, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if errors.Is(err, unix.EBUSY) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, mount, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}); err != nil {
		t.Fatal(err)
	}
	return false
}

// TestVerdictIsTheKernels holds a file on the protected path in every way there is,
// and compares what the scan says with whether the kernel finds the mount busy.
func TestVerdictIsTheKernels(t *testing.T) {
	play := func(role string) func(*testing.T, *lab.System) string {
		return func(t *testing.T, s *lab.System) string {
			path := create(t, filepath.Join(s.Root, "file"))
			start(t, role, path)
			return path
		}
	}
	tests := []struct {
		name string
		// hold returns the path that the scan is to report.
		hold func(t *testing.T, s *lab.System) string
		kind helper.WriterKind // "" when nothing is to be reported
		// otherwise: what the kernel doesn't count against this mount, but a
		// read-only property would hurt.
		otherwise bool
	}{
		{name: "nothing", hold: play("nothing")},
		{name: "open to write", hold: play("write"), kind: helper.WriterFile},
		{name: "open to read and write", hold: play("read and write"), kind: helper.WriterFile},
		{name: "open to append", hold: play("append"), kind: helper.WriterFile},
		{name: "open to read", hold: play("read")},
		{name: "open for ioctl only", hold: play("ioctl only")},
		{name: "open as a path", hold: play("path")},
		{name: "open directory", hold: func(t *testing.T, s *lab.System) string { start(t, "directory", s.Root); return "" }},
		{name: "working directory", hold: func(t *testing.T, s *lab.System) string { start(t, "working directory", s.Root); return "" }},
		{name: "file without a name", hold: holdNameless, kind: helper.WriterFile},
		{name: "deleted, open to write", hold: func(t *testing.T, s *lab.System) string { return play("write deleted")(t, s) + deletedSuffix }, kind: helper.WriterFile},
		{name: "deleted, open to read", hold: play("read deleted")},
		{name: "shared mapping", hold: play("map shared"), kind: helper.WriterMapping},
		{name: "shared mapping to read, opened to write", hold: play("map shared to read"), kind: helper.WriterMapping},
		{name: "private mapping, opened to write", hold: play("map private"), kind: helper.WriterMapping},
		{name: "private mapping to read, opened to write", hold: play("map private to read"), kind: helper.WriterMapping},
		{name: "shared mapping, opened to read", hold: play("map read shared")},
		{name: "private mapping, opened to read", hold: play("map read private")},
		{name: "mapping at a low address", hold: play("map low"), kind: helper.WriterMapping},
		{name: "FIFO", hold: play("fifo")},
		{name: "unix socket", hold: play("socket")},
		{name: "running program", hold: runProgram},
		{name: "thread with descriptors of its own", hold: play("thread of its own"), kind: helper.WriterFile},
		{name: "first thread ended", hold: play("first thread ended"), kind: helper.WriterFile},
		{name: "first thread ended, mapping", hold: play("first thread, mapped"), kind: helper.WriterMapping},
		{name: "loop device", hold: holdLoop(), kind: helper.WriterLoop},
		{name: "read-only loop device", hold: holdLoop("--read-only")},
		{name: "loop device made read-only later", hold: holdLoopMadeReadOnly, kind: helper.WriterLoop},
		{name: "loop device with a deleted file", hold: holdLoopDeleted, kind: helper.WriterLoop},
		{name: "swap file", hold: holdSwap, kind: helper.WriterSwap},
		{name: "sibling subvolume", hold: func(t *testing.T, s *lab.System) string {
			start(t, "write", create(t, filepath.Join(s.IslandPaths()[0], "file")))
			return ""
		}},
		{name: "another mount", hold: func(t *testing.T, s *lab.System) string {
			path := create(t, filepath.Join(s.Top, "ROOTVOL/file"))
			start(t, "write", path)
			return path
		}, kind: helper.WriterFile, otherwise: true},
		{name: "another mount, mapping", hold: func(t *testing.T, s *lab.System) string {
			path := create(t, filepath.Join(s.Top, "ROOTVOL/file"))
			start(t, "map shared", path)
			return path
		}, kind: helper.WriterMapping, otherwise: true},
		{name: "another mount namespace", hold: func(t *testing.T, s *lab.System) string {
			path := create(t, filepath.Join(s.Root, "file"))
			start(t, "write", path, namespace)
			return path
		}, kind: helper.WriterFile, otherwise: true},
		{name: "another mount namespace, mapping", hold: func(t *testing.T, s *lab.System) string {
			path := create(t, filepath.Join(s.Root, "file"))
			start(t, "map private to read", path, namespace)
			return path
		}, kind: helper.WriterMapping, otherwise: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := lab.New(t)
			want := test.hold(t, s)
			found := scanAll(t, s)
			if isBusy := busy(t, s.Root); isBusy != (test.kind != "" && !test.otherwise) {
				t.Errorf("the kernel says busy = %v", isBusy)
			}
			if test.kind == "" {
				if len(found) > 0 {
					t.Errorf("Scan = %+v, want nothing", found)
				}
				return
			}
			if len(found) != 1 || found[0].Kind != test.kind || found[0].Protected != s.Root {
				t.Fatalf("Scan = %+v, want one %s on %s", found, test.kind, s.Root)
			}
			if test.name != "file without a name" && found[0].Path != want {
				t.Errorf("Scan says the path is %q, want %q", found[0].Path, want)
			}
		})
	}
}

// scanAll scans the protected paths of the lab until nothing was missed. The swap files of all the machine are in one
// list, also those of another package's tests, which are nowhere to be found here.
func scanAll(t testing.TB, s *lab.System) []helper.Writer {
	t.Helper()
	for {
		found, err := new(Scanner).Scan(t.Context(), s.Protected())
		var missed *IncompleteError
		if errors.As(err, &missed) && missed.Processes == 0 {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
}

// create makes a file of one page and returns its path.
func create(t testing.TB, path string) string {
	t.Helper()
	if err := os.WriteFile(path, make([]byte, os.Getpagesize()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// must runs a program of the system and returns what it says.
func must(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func namespace(cmd *exec.Cmd) { cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS }

func holdNameless(t *testing.T, s *lab.System) string {
	start(t, "nameless", s.Root)
	return ""
}

// runProgram runs a program that lies on the protected path.
func runProgram(t *testing.T, s *lab.System) string {
	program := filepath.Join(s.Root, "program")
	// Copied by another process: a child that this one starts meanwhile would inherit
	// a descriptor open for writing, and the kernel runs no such file (ETXTBSY).
	must(t, "cp", "--dereference", fmt.Sprintf("/proc/%d/exe", os.Getpid()), program)
	startProgram(t, program, "nothing", s.Root)
	return ""
}

func holdLoop(options ...string) func(*testing.T, *lab.System) string {
	return func(t *testing.T, s *lab.System) string {
		path, _ := attach(t, s, options...)
		return path
	}
}

// attach binds a file on the protected path to a loop device.
func attach(t *testing.T, s *lab.System, options ...string) (path, device string) {
	path = create(t, filepath.Join(s.Root, "disk image"))
	if err := os.Truncate(path, 1<<20); err != nil {
		t.Fatal(err)
	}
	device = must(t, "losetup", append(options, "--find", "--show", path)...)
	t.Cleanup(func() { must(t, "losetup", "--detach", device) })
	return path, device
}

func holdLoopMadeReadOnly(t *testing.T, s *lab.System) string {
	path, device := attach(t, s)
	must(t, "blockdev", "--setro", device)
	// The attribute stays with the device when the file is detached.
	t.Cleanup(func() { must(t, "blockdev", "--setrw", device) })
	return path
}

func holdLoopDeleted(t *testing.T, s *lab.System) string {
	path, _ := attach(t, s)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	return path + deletedSuffix
}

func holdSwap(t *testing.T, s *lab.System) string {
	path := filepath.Join(s.Root, "swap file")
	must(t, "truncate", "--size=0", path)
	must(t, "chattr", "+C", path) // btrfs takes no copy-on-write swap files
	must(t, "fallocate", "--length=1M", path)
	must(t, "chmod", "600", path)
	must(t, "mkswap", path)
	must(t, "swapon", path)
	t.Cleanup(func() { must(t, "swapoff", path) })
	return path
}
