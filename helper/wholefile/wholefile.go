// Package wholefile writes files of which nobody ever reads a half.
package wholefile

import (
	"os"
	"path/filepath"
)

// Write replaces the file at path: a reader sees the old content or the new. The file
// is readable by everyone, whatever the umask is. On failure the old one stays.
func Write(path string, data []byte) error {
	// In the same directory, or the rename would be a copy. The name does not end like
	// the file's, so that nobody who reads all such files reads this one.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
