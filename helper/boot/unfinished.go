package boot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper/statedir"
	"immutray.org/helper/wholefile"
)

// unfinishedName is the file with the ids of the boots that were sealed and did not come up, one
// per line, as in "journalctl --boot=ID". immutray-came-up.service removes it.
const unfinishedName = "unfinished-boots"

// maxUnfinished is more than the ids that are ever written take.
const maxUnfinished = 1024

// idPath has the id of this boot.
const idPath = "/proc/sys/kernel/random/boot_id"

// Begin records this boot as one that has not come up yet, before it is sealed. The record is on
// the disk when Begin returns. protected are the devices (st_dev) of the subvolumes to be sealed:
// a record in one of them could not be removed any more.
func (m Machine) Begin(protected []uint64) error {
	if m.Kept == "" {
		return nil
	}
	const cannot = "cannot record that this boot has begun: "
	// An island that is not mounted yet has a directory of its name on the subvolume that will
	// be sealed.
	var st unix.Stat_t
	parent := filepath.Dir(m.Kept)
	if err := unix.Stat(parent, &st); err != nil {
		return fmt.Errorf(cannot+"stat %q: %w", parent, err)
	}
	if slices.Contains(protected, st.Dev) {
		return fmt.Errorf(cannot+"%q is on a protected path", parent)
	}
	if err := statedir.MakeDir(m.Kept, 0o755); err != nil {
		return err
	}
	own, err := bootID()
	if err != nil {
		return fmt.Errorf(cannot+"%w", err)
	}
	others, _ := m.unfinished() // an unreadable record is replaced
	lines := strings.Join(append(others, own), "\n") + "\n"
	if err := wholefile.WriteDurably(filepath.Join(m.Kept, unfinishedName), []byte(lines)); err != nil {
		return fmt.Errorf(cannot+"%w", err)
	}
	return nil
}

// unfinished returns the ids on record, without that of this boot.
func (m Machine) unfinished() ([]string, error) {
	if m.Kept == "" {
		return nil, nil
	}
	f, err := os.OpenFile(filepath.Join(m.Kept, unfinishedName), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxUnfinished))
	if err != nil {
		return nil, err
	}
	own, err := bootID()
	if err != nil {
		return nil, err
	}
	ids := strings.Fields(string(text))
	return slices.DeleteFunc(ids, func(id string) bool { return id == own }), nil
}

func bootID() (string, error) {
	id, err := os.ReadFile(idPath)
	return strings.TrimSpace(string(id)), err
}
