package writers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

func TestWriterSaysWhoItIs(t *testing.T) {
	s := lab.New(t)
	for _, test := range []struct {
		uid  uint32
		user string
	}{
		{0, "root"},
		{nobody, userName(nobody)},
		{54321, "54321"}, // who has no name
	} {
		t.Run(test.user, func(t *testing.T) {
			path := create(t, filepath.Join(s.Root, test.user))
			must(t, "chown", fmt.Sprint(test.uid), path)
			// A program of its own, because the test binary lies where only
			// root may look.
			program := filepath.Join(s.Root, "holder")
			must(t, "cp", "--dereference", fmt.Sprintf("/proc/%d/exe", os.Getpid()), program)
			must(t, "chmod", "755", program)
			c := startProgram(t, program, "write", path, func(cmd *exec.Cmd) {
				cmd.SysProcAttr.Credential = &syscall.Credential{Uid: test.uid, Gid: nobody}
			})
			want := []helper.Writer{{
				Kind: helper.WriterFile, Protected: s.Root, Path: path,
				PID: c.pid, Program: "holder", UID: test.uid, User: test.user,
				Unit: unitOf(t, c.pid),
			}}
			if found := scanAll(t, s); !slices.Equal(found, want) {
				t.Errorf("Scan = %+v, want %+v", found, want)
			}
			// An upgrade replaces the program while it runs.
			if err := os.Remove(program); err != nil {
				t.Fatal(err)
			}
			if found := scanAll(t, s); !slices.Equal(found, want) {
				t.Errorf("with the program deleted, Scan = %+v, want %+v", found, want)
			}
		})
	}
}

// unitOf is what the test itself reads from the cgroup; parseUnit has its own test.
func unitOf(t *testing.T, pid int) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	return parseUnit(data)
}

func TestOneFileIsOneWriterPerProcess(t *testing.T) {
	s := lab.New(t)
	first := create(t, filepath.Join(s.Root, "b"))
	second := create(t, filepath.Join(s.Root, "a"))
	c1 := start(t, "write thrice", first)
	c2 := start(t, "map and write", first)
	c3 := start(t, "write", second)
	c4 := start(t, "write", create(t, filepath.Join(s.Etc, "c")))
	type key struct {
		pid             int
		protected, path string
	}
	var got []key
	for _, w := range scanAll(t, s) {
		if w.Kind != helper.WriterFile {
			t.Errorf("a file that is open as well is reported as %s", w.Kind)
		}
		got = append(got, key{w.PID, w.Protected, w.Path})
	}
	// s.Root sorts before s.Etc, which is below it.
	want := []key{
		{c1.pid, s.Root, first}, {c2.pid, s.Root, first}, {c3.pid, s.Root, second},
		{c4.pid, s.Etc, filepath.Join(s.Etc, "c")},
	}
	if !slices.Equal(got, want) {
		t.Errorf("Scan = %v, want %v", got, want)
	}
}

func TestManyFilesOfOneProcessInOrder(t *testing.T) {
	s := lab.New(t)
	var want []string
	for _, name := range []string{"c", "a", "b"} {
		path := create(t, filepath.Join(s.Root, name))
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want = append(want, path)
	}
	slices.Sort(want)
	var got []string
	for _, w := range scanAll(t, s) {
		got = append(got, w.Path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Scan = %q, want %q", got, want)
	}
}

func TestOddNames(t *testing.T) {
	s := lab.New(t)
	for _, name := range []string{"with blanks ", "line\nbreak", `back\012slash`, "bytes \xff\xfe", "x (deleted)", "\x1b[31mred"} {
		for _, role := range []string{"write", "map shared"} {
			t.Run(fmt.Sprintf("%q, %s", name, role), func(t *testing.T) {
				path := create(t, filepath.Join(s.Root, name))
				c := start(t, role, path)
				defer c.stop()
				found := scanAll(t, s)
				if len(found) != 1 || found[0].Path != path {
					t.Fatalf("Scan = %+v, want the path %q", found, path)
				}
				data, err := json.Marshal(found)
				if err != nil || !utf8.Valid(data) {
					t.Errorf("as JSON it is %q, %v", data, err)
				}
			})
		}
	}
}

// TestPathTooLong: the kernel can't tell a path longer than a page, but the writer is
// no less real.
func TestPathTooLong(t *testing.T) {
	s := lab.New(t)
	defer unix.Close(createDeep(t, s.Root, 20))
	found := scanAll(t, s)
	if len(found) != 1 || found[0].Path != "" || found[0].PID != os.Getpid() {
		t.Errorf("Scan = %+v, want one writer without a path", found)
	}
}

// TestMappingPathTooLong: in the list of mappings there is a path of any length.
func TestMappingPathTooLong(t *testing.T) {
	s := lab.New(t)
	fd := createDeep(t, s.Root, 2*maxMapsLine/250)
	memory, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	unix.Close(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	found := scanAll(t, s)
	if len(found) != 1 || found[0].Kind != helper.WriterMapping || found[0].Path != "" || found[0].PID != os.Getpid() {
		t.Errorf("Scan = %+v, want one writer without a path", found)
	}
}

// createDeep opens a new file this many directories below dir, each with a name of 250
// bytes.
func createDeep(t *testing.T, dir string, depth int) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { unix.Close(fd) }()
	name := strings.Repeat("d", 250)
	for range depth {
		if err := unix.Mkdirat(fd, name, 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, name, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd = next
	}
	f, err := unix.Openat(fd, "file", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestMappingOverEarlierMapping looks at a process, lets it map another file over the
// same addresses, and looks again: a procfs that remembered the first look would show
// the mapping as one of a file opened for reading.
func TestMappingOverEarlierMapping(t *testing.T) {
	s := lab.New(t)
	path := create(t, filepath.Join(s.Root, "file"))
	c := start(t, "map over", path)
	remembered := fmt.Sprintf("/proc/%d/map_files/%x-%x", c.pid, lowAddress, lowAddress+os.Getpagesize())
	if _, err := os.Lstat(remembered); err != nil {
		t.Fatal(err)
	}
	if found := scanAll(t, s); len(found) > 0 {
		t.Errorf("Scan = %+v, want nothing yet", found)
	}
	c.tell(t)
	c.expect(t, "ready")
	info, err := os.Lstat(remembered)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode()&0o200 != 0 {
		t.Log("this kernel's procfs no longer remembers")
	}
	if found := scanAll(t, s); len(found) != 1 || found[0].Kind != helper.WriterMapping {
		t.Errorf("Scan = %+v, want the mapping", found)
	}
}
