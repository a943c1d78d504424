package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWrite(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	dir := t.TempDir()
	path := filepath.Join(dir, "file.prom")
	for _, content := range []string{"a\n", "", "longer than before\n"} {
		if err := Write(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		info, _ := os.Stat(path)
		if err != nil || string(got) != content || info.Mode() != 0o644 {
			t.Errorf("the file has %q, %v, %v, want %q for everyone to read", got, info.Mode(), err, content)
		}
	}
	expectAlone(t, dir, "file.prom")
}

func expectAlone(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("in the directory: %v, %v, want %s alone", entries, err, name)
	}
}

func TestNobodyReadsAHalf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	contents := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<10)}
	if err := Write(path, []byte(contents[0])); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Add(1)
	go func() {
		defer reader.Done()
		for {
			got, err := os.ReadFile(path)
			if err != nil || string(got) != contents[0] && string(got) != contents[1] {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	for i := range 200 {
		if err := Write(path, []byte(contents[i%2])); err != nil {
			t.Error(err)
		}
	}
	close(done)
	reader.Wait()
}

func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without its directory: %v", err)
	}
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	expectAlone(t, dir, "taken")
}
