package nofollow

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenAt(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "dir"), 0o755),
		os.WriteFile(filepath.Join(dir, "file"), nil, 0o644),
		os.Symlink("dir", filepath.Join(dir, "link")),
	); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(at)
	const directory = unix.O_PATH | unix.O_DIRECTORY
	for _, test := range []struct {
		part  string
		flags int
		want  error
	}{
		{"dir", directory, nil},
		{"file", unix.O_RDONLY, nil},
		{"file", directory, unix.ENOTDIR},
		{"link", directory, ErrLink},
		{"link", unix.O_RDONLY, ErrLink},
		{"none", directory, unix.ENOENT},
	} {
		fd, err := OpenAt(at, test.part, test.flags)
		if !errors.Is(err, test.want) || (err == nil) != (fd >= 0) {
			t.Errorf("OpenAt(%s, %#x) = %d, %v, want %v", test.part, test.flags, fd, err, test.want)
		}
		if err == nil {
			unix.Close(fd)
		}
	}
}
