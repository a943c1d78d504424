// Package runs keeps the records of the commands that "immutectl run" has at work, in two
// directories of the state directory: runs has all that is known of each, for root, and
// programs what everyone may know. A command line may hold a password: of that there is
// only the program's name for everyone.
//
// Whoever answers for a command holds a lock on its files as long as he lives, so that
// what a dead one left behind is never taken for a command at work. It is a write lock
// of fcntl(2), which takes a descriptor that can write: a user who may only read the
// file can neither hold one nor pretend to.
package records

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/statefile"
)

const (
	recordsName  = "runs"
	programsName = "programs"
	draftPrefix  = "."
	// maxSize bounds what is read of one file: a command line has 2 MiB at most by
	// default (execve(2)), and JSON writes a byte of it in up to six.
	maxSize = 16 << 20
)

// A Record is that of a command of ours.
type Record struct {
	files    []*os.File
	released []string // what is left of it when nobody answers for the command any more
}

// An entry is the content of a file.
type entry struct {
	helper.Run
	// Holder is the process that answers for the command.
	Holder int `json:"holder"`
}

// Put records a command that this process answers for. A record that a dead one has left
// of it is replaced.
func Put(stateDir string, r helper.Run) (*Record, error) {
	rec := &Record{}
	err := rec.put(filepath.Join(stateDir, recordsName), 0o600, r)
	if err == nil {
		err = rec.put(filepath.Join(stateDir, programsName), 0o644, r.Named())
	}
	if err != nil {
		rec.Close()
		return nil, fmt.Errorf("cannot record the command: %w", helper.Because(err))
	}
	return rec, nil
}

// Update replaces the record by one that says more. Nobody sees the command without one.
func (r *Record) Update(stateDir string, run helper.Run) error {
	updated, err := Put(stateDir, run)
	if err != nil {
		return err
	}
	for _, f := range r.files {
		f.Close()
	}
	r.files = updated.files
	return nil
}

// put adds a file with the given mode to a directory that has the x bits that go with it.
func (r *Record) put(dir string, mode os.FileMode, run helper.Run) error {
	data, err := json.Marshal(entry{run, os.Getpid()})
	if err != nil {
		return err
	}
	if err := statefile.MakeDir(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := statefile.MakeDir(dir, mode|mode&0o444>>2); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	path, draft := filepath.Join(dir, run.ID), filepath.Join(dir, draftPrefix+run.ID)
	f := os.NewFile(uintptr(fd), path)
	// Nobody sees the file before it is complete and locked.
	err = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		_ = os.Remove(draft) // of one that was killed; where it can't be removed, the next step says so
		err = unix.Linkat(fd, "", unix.AT_FDCWD, draft, unix.AT_EMPTY_PATH)
	}
	if err == nil {
		err = os.Rename(draft, path)
	}
	if err != nil {
		f.Close()
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	r.files = append(r.files, f)
	return nil
}

// Close takes the record back. More than once it does nothing.
func (r *Record) Close() {
	r.Release()
	for _, name := range r.released {
		os.Remove(name)
	}
	r.released = nil
}

// Release leaves the record as of a command that nobody answers for; see [Abandoned].
func (r *Record) Release() {
	for _, f := range r.files {
		r.released = append(r.released, f.Name())
		f.Close()
	}
	r.files = nil
}

// List returns the commands at work, the oldest first. Root gets all that is known, and
// everyone else what is for everyone. The error says that there may be more.
func List(stateDir string) ([]helper.Run, error) {
	name := programsName
	if os.Geteuid() == 0 {
		name = recordsName
	}
	alive, _, err := list(filepath.Join(stateDir, name))
	found := make([]helper.Run, len(alive))
	for i, e := range alive {
		found[i] = e.Run
	}
	return found, err
}

// list returns what the files in a directory say, those that somebody answers for and
// those that nobody does.
func list(dir string) (alive, dead []entry, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	for _, file := range entries {
		if strings.HasPrefix(file.Name(), draftPrefix) {
			continue
		}
		e, held, failed := read(filepath.Join(dir, file.Name()))
		if failed != nil {
			err = failed
		}
		switch {
		case held:
			alive = append(alive, e)
		case e.ID != "":
			dead = append(dead, e)
		}
	}
	if err != nil {
		err = fmt.Errorf("cannot look for commands of \"immutectl run\": %w", helper.Because(err))
	}
	slices.SortFunc(alive, func(a, b entry) int { return a.Since.Compare(b.Since) })
	return alive, dead, err
}

// read returns what a file says, and whether somebody answers for it. One that is gone
// was taken back since it was listed.
func read(path string) (e entry, held bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	defer f.Close()
	// What would keep us from reading is a write lock: of others' read locks there is
	// no talk.
	asked := unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &asked); err != nil {
		return e, false, &os.PathError{Op: "F_OFD_GETLK", Path: path, Err: err}
	}
	held = asked.Type != unix.F_UNLCK
	data, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if !held {
		e.ID = filepath.Base(path) // also of one that can't be read: it is to be cleared away
		return e, false, nil
	}
	if err != nil {
		return e, true, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return e, true, nil
}
