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
)

// flagsName is the file in the state directory that says where locks have set the mount
// flag besides the protected paths. Of a service systemd tells which mounts it may write
// to; of everything else, a container for instance, nobody tells but this.
const flagsName = "flags.json"

const (
	maxFlags     = 2000    // the oldest are forgotten
	maxFlagsSize = 8 << 20 // paths are long, and JSON makes them longer
)

// A flag is one mount flag that a lock has set. Numbers of namespaces and mounts are given
// to others again, the lowest first. So a process stands for the namespace: as long as it
// is in there, both mean what they meant.
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

// readFlags returns no flags where there is no file.
func readFlags(dir string) (flagList, error) {
	f, err := os.OpenFile(filepath.Join(dir, flagsName), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
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

// rememberFlags adds flags to the file, which is root's alone.
func rememberFlags(dir string, more flagList) error {
	if len(more) == 0 {
		return nil
	}
	all, _ := readFlags(dir) // what can't be read is lost, and written anew
	all = append(all, more...)
	all = all[max(0, len(all)-maxFlags):]
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if len(data) > maxFlagsSize {
		return fmt.Errorf("%s would be larger than %d bytes", flagsName, maxFlagsSize)
	}
	f, err := os.CreateTemp(dir, flagsName+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, flagsName))
}

func forgetFlags(dir string) { _ = os.Remove(filepath.Join(dir, flagsName)) }
