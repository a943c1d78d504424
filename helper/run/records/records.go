// Package records has the records of the commands of "immutectl run" that run, in two
// folders of the state directory: all that is known of each, for root, and what everyone
// may know. A command line may hold a password: of that, everyone gets only the program's
// name.
//
// The process that answers for a command holds its files (statedir.Folder.Hold), so that
// what a dead one left behind is never taken for a command that runs.
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

	"immutray.org/helper"
	"immutray.org/helper/statedir"
	"immutray.org/helper/text"
)

// maxSize bounds what is read of one file: a command line has 2 MiB at most by
// default (execve(2)), and JSON writes a byte of it in up to six.
const maxSize = 16 << 20

// A Record is that of a command of this process.
type Record struct {
	files    []*os.File
	released []string // the files of a command that was abandoned
}

// An entry is the content of a file.
type entry struct {
	helper.Run
	// Holder is the process that holds the record: the guardian.
	Holder int `json:"holder"`
}

// Put records a command whose guardian this process is. A record that a dead guardian has
// left is replaced.
func Put(stateDir string, r helper.Run) (*Record, error) {
	rec := &Record{}
	dir := statedir.Dir(stateDir)
	err := rec.put(dir.Runs(), r)
	if err == nil {
		err = rec.put(dir.Programs(), r.Named())
	}
	if err != nil {
		rec.Close()
		return nil, fmt.Errorf("cannot record the command: %w", text.Because(err))
	}
	return rec, nil
}

// Update replaces the record by one that says more. There is no moment without a record.
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

// put adds a file to a folder.
func (r *Record) put(folder statedir.Folder, run helper.Run) error {
	data, err := json.Marshal(entry{run, os.Getpid()})
	if err != nil {
		return err
	}
	if err := folder.Make(); err != nil {
		return err
	}
	f, err := folder.HoldInstead(run.ID, data)
	if err != nil {
		return err
	}
	r.files = append(r.files, f)
	return nil
}

// Close removes the record. Calling it again does nothing.
func (r *Record) Close() {
	r.Release()
	for _, name := range r.released {
		os.Remove(name)
	}
	r.released = nil
}

// Release leaves the record as that of an abandoned command; see [Abandoned].
func (r *Record) Release() {
	for _, f := range r.files {
		r.released = append(r.released, f.Name())
		f.Close()
	}
	r.files = nil
}

// List returns the commands that have a guardian, the oldest first. Root gets all that is
// known, and everyone else what everyone may know. After an error there may be more.
func List(stateDir string) ([]helper.Run, error) {
	folder := statedir.Dir(stateDir).Programs()
	if os.Geteuid() == 0 {
		folder = statedir.Dir(stateDir).Runs()
	}
	alive, _, err := list(folder.Path)
	found := make([]helper.Run, len(alive))
	for i, e := range alive {
		found[i] = e.Run
	}
	return found, err
}

// list returns the records in a directory: alive are those of commands that have a guardian,
// dead those of commands that have none.
func list(dir string) (alive, dead []entry, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	for _, file := range entries {
		if statedir.IsDraft(file.Name()) {
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
		err = fmt.Errorf("cannot look for commands of \"immutectl run\": %w", text.Because(err))
	}
	slices.SortFunc(alive, func(a, b entry) int { return a.Since.Compare(b.Since) })
	return alive, dead, err
}

// read returns the record in a file, and whether it is held. A file that is gone was removed
// since it was listed.
func read(path string) (e entry, held bool, err error) {
	f, held, err := statedir.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if !held {
		e.ID = filepath.Base(path) // also of an unreadable one, which is to be removed
		return e, false, nil
	}
	if err != nil {
		return e, true, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return e, true, nil
}
