package wholefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// What is written with room can be written again when the file system is full, of data or
// of files, again and again; what does not fit leaves the old one as it was.
func TestWriteWithRoom(t *testing.T) {
	dir := lab.Dir(t)
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=256k,nr_inodes=16"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, 0)
	path := filepath.Join(dir, "file")
	if err := WriteWithRoom(path, []byte("first"), 64<<10); err != nil {
		t.Fatal(err)
	}
	fill := func(name string) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, name))
		for err == nil {
			_, err = f.Write(make([]byte, 1024))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
	expect := func(when, want string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || strings.TrimRight(string(got), "\n") != want {
			t.Errorf("%s there is %.40q, %v, want %.40q", when, got, err, want)
		}
	}
	fill("filler")
	if err := Write(path, []byte("x")); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("it is not full: %v", err)
	}
	for _, content := range []string{"second", strings.Repeat("long", 15<<10), "third"} {
		if err := WriteWithRoom(path, []byte(content), 64<<10); err != nil {
			t.Error(err)
		}
		expect("without room", content)
	}
	if err := WriteWithRoom(path, make([]byte, 300<<10), 64<<10); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("what does not fit: %v", err)
	}
	expect("after what does not fit", "third")

	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if err := os.Mkdir(filepath.Join(dir, strings.Repeat("d", i+1)), 0o755); errors.Is(err, unix.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteWithRoom(path, []byte("fourth"), 64<<10); err != nil {
		t.Error(err)
	}
	expect("without room for a file", "fourth")
}
