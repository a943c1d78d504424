// Package runs keeps the record of the commands that "immutectl run" has at work: a
// file for each, readable by everyone, in a directory of the state directory.
//
// Whoever answers for a command holds a lock on its file as long as he lives, so that
// what a dead one left behind is never taken for a command at work. It is a write lock
// of fcntl(2), which takes a descriptor that can write: a user who may only read the
// file can neither hold one nor pretend to.
package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/statefile"
)

const (
	dirName = "runs"
	// maxSize bounds what is read of one file: a command line has 2 MiB at most by
	// default (execve(2)), and JSON writes a byte of it in up to six.
	maxSize = 16 << 20
)

// A Record is that of a command of ours.
type Record struct{ held *os.File }

// Put records a command, and sweeps up what dead ones left.
func Put(stateDir string, r helper.Run) (*Record, error) {
	rec, err := put(stateDir, r)
	if err != nil {
		return nil, fmt.Errorf("cannot record the command: %w", err)
	}
	return rec, nil
}

func put(stateDir string, r helper.Run) (*Record, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(stateDir, dirName)
	if err := statefile.MakeDir(stateDir, 0o755); err != nil {
		return nil, err
	}
	if err := statefile.MakeDir(dir, 0o755); err != nil {
		return nil, err
	}
	sweep(dir)
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	path := filepath.Join(dir, r.ID)
	rec := &Record{os.NewFile(uintptr(fd), path)}
	// Nobody sees the file before it is complete and locked.
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &whole)
	if err == nil {
		_, err = rec.held.Write(data)
	}
	if err == nil {
		err = rec.held.Chmod(0o644)
	}
	if err == nil {
		err = unix.Linkat(fd, "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH)
	}
	if err != nil {
		rec.held.Close()
		return nil, &os.PathError{Op: "write", Path: path, Err: err}
	}
	return rec, nil
}

// Close takes the record back.
func (r *Record) Close() {
	os.Remove(r.held.Name())
	r.held.Close()
}

// List returns the commands at work, the oldest first. Any user may ask. The error says
// that there may be more.
func List(stateDir string) ([]helper.Run, error) {
	dir := filepath.Join(stateDir, dirName)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var found []helper.Run
	for _, e := range entries {
		r, alive, failed := read(filepath.Join(dir, e.Name()))
		if failed != nil {
			err = failed
		}
		if alive {
			found = append(found, r)
		}
	}
	if err != nil {
		err = fmt.Errorf("cannot look for commands of \"immutectl run\": %w", err)
	}
	slices.SortFunc(found, func(a, b helper.Run) int { return a.Since.Compare(b.Since) })
	return found, err
}

// read returns what a file says, and whether somebody answers for it. One that is gone
// was taken back since it was listed.
func read(path string) (r helper.Run, alive bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	defer f.Close()
	// What would keep us from reading is a write lock: of others' read locks there is
	// no talk.
	asked := unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &asked); err != nil {
		return r, false, &os.PathError{Op: "F_OFD_GETLK", Path: path, Err: err}
	}
	if asked.Type == unix.F_UNLCK {
		return r, false, nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, true, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return r, true, nil
}

func sweep(dir string) {
	entries, _ := os.ReadDir(dir) // what can't be read now is swept next time
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, alive, err := read(path); !alive && err == nil {
			os.Remove(path)
		}
	}
}
