package engine

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

	"immutray.org/helper/namespaces"
	"immutray.org/helper/statedir"
	"immutray.org/helper/wholefile"
)

// The file of flags (statedir.Dir.Flags) says where locks have set the mount flag besides the
// protected paths. For a service, systemd knows which mounts it may write to; for everything
// else, a container for instance, only this file does.

const (
	maxFlags     = 2000    // older ones are dropped
	maxFlagsSize = 8 << 20 // paths are long, and JSON makes them longer
)

// A flag is one mount flag that a lock has set. The kernel reuses the numbers of namespaces and
// mounts, the lowest first. So a process stands for the namespace: as long as it is in there,
// both numbers mean the same.
type flag struct {
	Namespace uint64 `json:"namespace"`
	Process   int    `json:"process"`
	Mount     uint64 `json:"mount"`
	Root      string `json:"root"`
	Point     string `json:"point"`
}

func flagOf(n *namespaces.Namespace, m namespaces.Mount) flag {
	f := flag{Namespace: n.ID, Mount: m.ID, Root: m.Root, Point: m.Point}
	if len(n.Tasks) > 0 {
		f.Process = n.Tasks[0]
	}
	return f
}

type flagList []flag

// has reports whether a lock has set the flag of a mount.
func (all flagList) has(n *namespaces.Namespace, m namespaces.Mount) bool {
	return slices.ContainsFunc(all, func(f flag) bool {
		same := flagOf(n, m)
		same.Process = f.Process
		return f == same && slices.Contains(n.Tasks, f.Process)
	})
}

// readFlags returns no flags if there is no file.
func readFlags(dir statedir.Dir) (flagList, error) {
	f, err := os.OpenFile(dir.Flags(), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all flagList
	if err := json.NewDecoder(io.LimitReader(f, maxFlagsSize)).Decode(&all); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return all, nil
}

// rememberFlags adds flags to the file, which only root may read.
func rememberFlags(dir statedir.Dir, more flagList) error {
	if len(more) == 0 {
		return nil
	}
	all, _ := readFlags(dir) // an unreadable file is replaced
	all = append(all, more...)
	all = all[max(0, len(all)-maxFlags):]
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if len(data) > maxFlagsSize {
		return fmt.Errorf("%s would be larger than %d bytes", filepath.Base(dir.Flags()), maxFlagsSize)
	}
	return wholefile.WritePrivately(dir.Flags(), data)
}

func forgetFlags(dir statedir.Dir) { _ = os.Remove(dir.Flags()) }
