package statefile

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MakeDir makes a directory with the given mode, whatever the umask, or checks that
// there is one that nobody but root can write to: what stands in it is believed.
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
