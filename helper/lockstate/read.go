// Package lockstate reads and watches the state of the system. It needs no privileges: it reads
// the layers from the kernel, and the window from the helper's state file.
package lockstate

import (
	"errors"
	"slices"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/namespaces"
	"immutray.org/helper/protected"
	"immutray.org/helper/run/records"
	"immutray.org/helper/statefile"
)

// A Reader reads the state of the system.
type Reader struct {
	Paths    []string // the protected paths
	StateDir string   // the directory of the helper's state file
	// Refused is why the file of the configuration is refused; see [config.Config].
	Refused error
	// OnBtrfs are those of them that are known to have been on btrfs.
	OnBtrfs []string
}

// For returns a reader of the paths that a configuration protects.
func For(c config.Config) *Reader {
	return &Reader{Paths: c.Paths, StateDir: c.StateDir, Refused: c.Refused, OnBtrfs: c.OnBtrfs}
}

// Read returns the state now. It never fails: what can't be read is unknown, and
// the path's Error says why.
func (r *Reader) Read() helper.Status {
	status := readPaths(r.Protected(), r.OnBtrfs)
	status.ConfigError = config.Refusal(r.Refused)
	// Without a record that can't be read the state is right nevertheless.
	found, _ := records.List(r.StateDir)
	status.SetRuns(found)
	// Without the state file only the window is missing. An unlock writes it before it opens the
	// paths, so it is read after them.
	if file, err := statefile.Read(r.StateDir); err == nil {
		status.Window = ShownWindow(status.State, file.Window)
		if status.State != helper.Locked {
			status.Overdue = file.Overdue
			status.StillReadOnly = present(file.StillReadOnly)
		}
	}
	return status
}

// present returns the bystanders that have not ended. A service that was restarted has
// another process.
func present(recorded []helper.Bystander) []helper.Bystander {
	return slices.DeleteFunc(recorded, func(b helper.Bystander) bool {
		return namespaces.Unit(b.PID) != b.Unit || namespaces.Program(b.PID) != b.Program
	})
}

// Protected returns the names of the protected paths now: those of the configuration, and those
// that were opened and are not locked again yet, if they can still be.
func (r *Reader) Protected() []string {
	file, _ := statefile.Read(r.StateDir) // an unreadable one names no path
	all := config.Config{Paths: r.Paths}.With(file.StillOpen()).Paths
	return slices.DeleteFunc(all, func(name string) bool {
		return !slices.Contains(r.Paths, name) && errors.Is(isFit(name), protected.ErrUnfit)
	})
}

func isFit(name string) error {
	p, err := protected.Open(name)
	if err == nil {
		p.Close()
	}
	return err
}

// ReadPaths returns the state of the protected paths called names, without a window.
func ReadPaths(names []string) helper.Status { return readPaths(names, nil) }

func readPaths(names, onBtrfs []string) helper.Status {
	status := helper.Status{Paths: make([]helper.PathStatus, 0, len(names))}
	for _, name := range names {
		status.Paths = append(status.Paths, readPath(name, slices.Contains(onBtrfs, name)))
	}
	status.State = helper.OverallState(status.Paths)
	return status
}

func readPath(name string, wasBtrfs bool) helper.PathStatus {
	p, err := protected.Open(name)
	if err != nil {
		return helper.PathStatus{Path: name, State: helper.Unknown, Error: err.Error()}
	}
	defer p.Close()
	p.WasBtrfs = wasBtrfs
	return p.Status()
}

// ShownWindow returns the window that goes with a state: none when it is locked,
// whatever an interrupted unlock left in the state file.
func ShownWindow(state helper.State, recorded *helper.Window) *helper.Window {
	if state == helper.Locked {
		return nil
	}
	return recorded
}
