// Package statedir is the layout of the state directory, by default /run/immutray: the names
// in it, the modes, and the locks. What is in the files is up to the packages that write them.
//
//	state.json   for everyone: the window and the last result; package statefile
//	woken        for everyone: replaced so that those who watch the directory look again
//	history/     the last windows, for everyone, for one user each, and for root; package recent
//	programs/    for everyone: one held file for each command of "immutectl run"
//	runs/        the same with all that is known of it; package records
//	lock         held by the process whose turn it is to change something; see [Lock]
//	turns/       one held file for each process that waits for its turn
//	requests/    requests that are handed to units, and the answers
//	flags.json   the mount flags that locks have set besides the protected paths
//	people       that a person was logged in when that was last checked
//	prepared.json  only of another configuration than the machine's: which lock was allowed
package statedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A Dir is a state directory.
type Dir string

// StateFile is the name of the state file.
const StateFile = "state.json"

// State is the state file.
func (d Dir) State() string { return d.path(StateFile) }

// Woken is replaced so that those who watch the directory look again.
func (d Dir) Woken() string { return d.path("woken") }

// Flags has the mount flags that locks have set besides the protected paths.
func (d Dir) Flags() string { return d.path("flags.json") }

// People marks that a person was logged in when that was last checked.
func (d Dir) People() string { return d.path("people") }

// Prepared says which lock was allowed last, for another configuration than the machine's.
func (d Dir) Prepared() string { return d.path("prepared.json") }

// Turns has a held file for each process that waits for the [Lock].
func (d Dir) Turns() Folder { return Folder{d.path("turns"), 0o700, 0o600} }

// Requests has what is handed to units, and their answers.
func (d Dir) Requests() Folder { return Folder{d.path("requests"), 0o700, 0o600} }

// Runs has a held file for each command of "immutectl run", with all that is known of it.
func (d Dir) Runs() Folder { return Folder{d.path("runs"), 0o700, 0o600} }

// History has the last windows.
func (d Dir) History() History { return History{Folder{d.path("history"), 0o755, 0o644}} }

// Programs has the same for everyone.
func (d Dir) Programs() Folder { return Folder{d.path("programs"), 0o755, 0o644} }

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }

// Make makes the directory, or checks that it is root's.
func (d Dir) Make() error { return MakeDir(string(d), 0o755) }

// A Folder is a directory in the state directory.
type Folder struct {
	Path  string
	mode  os.FileMode
	files os.FileMode // the mode of the files in it
}

// Make makes the directory and the state directory, or checks that they are root's.
func (f Folder) Make() error {
	if err := Dir(filepath.Dir(f.Path)).Make(); err != nil {
		return err
	}
	return MakeDir(f.Path, f.mode)
}

// MakeDir makes a directory with the given mode, whatever the umask, or checks that only
// root can write to the one that exists: what is in it is trusted.
func MakeDir(dir string, mode os.FileMode) error {
	err := os.Mkdir(dir, mode)
	if err == nil {
		err = os.Chmod(dir, mode)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("cannot prepare the state directory: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("cannot prepare the state directory: %w", &os.PathError{Op: "lstat", Path: dir, Err: err})
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 || st.Mode&0o022 != 0 {
		return fmt.Errorf("cannot use the state directory %q: it must be a directory that only root can write to", dir)
	}
	return nil
}
