// Package wholefile writes files of which nobody ever reads a half.
package wholefile

import (
	"os"
	"path/filepath"
)

// Write replaces the file at path: a reader sees the old content or the new. The file
// is readable by everyone, whatever the umask is. On failure the old one stays.
func Write(path string, data []byte) error {
	return write(path, data, func(*os.File) error { return nil })
}

// WriteDurably is Write for a file that has to be there after a power cut: what has it
// replaced is complete on the disk before the name is its own (rename(2) promises no
// order).
func WriteDurably(path string, data []byte) error {
	if err := write(path, data, (*os.File).Sync); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func write(path string, data []byte, sync func(*os.File) error) error {
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
	if err := sync(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
