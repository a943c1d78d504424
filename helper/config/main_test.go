package config

import (
	"os"
	"testing"

	"immutray.org/packaging/practice/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// trustedDir returns an empty directory that, like every one above it, only root can
// write to. A test's own temporary directory is below /tmp, where everyone can.
func trustedDir(t *testing.T) string {
	t.Helper()
	if err := lab.Unusable(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir, err := os.MkdirTemp(lab.Base, "config")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	chmod(t, dir, 0o755)
	return dir
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
