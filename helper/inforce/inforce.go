// Package inforce finds the configuration that is in force: root's file, or its substitute if
// the file is refused.
//
// A lock and a status must not depend on that file. A mistyped word, a wrong owner or an
// unreadable disk may not keep the system from being locked. The substitute is what was opened,
// until it is locked again; else the configuration that was last used with success, of which
// root keeps a copy; else the default.
package inforce

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"

	"immutray.org/helper/config"
	"immutray.org/helper/protected"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
	"immutray.org/helper/text"
	"immutray.org/helper/wholefile"
)

// KeptPath is where root keeps the configuration that was last used with success. The
// seal reads it, after local file systems are mounted; everyone may read it.
const KeptPath = "/var/lib/immutray/config.json"

// maxKept is more than a configuration file of the size that is allowed comes to.
const maxKept = 1 << 20

// A Source is where the configuration comes from.
type Source struct {
	File string // root's
	Kept string // the last that was used with success
}

// Machine returns the source that the machine itself has.
func Machine() Source { return Source{File: config.Path, Kept: KeptPath} }

// Load returns the configuration in force. Config.Refused is set if it is not that of the
// file. Any user may call it.
func (s Source) Load() config.Config {
	name, own, refused := s.own()
	kept, lost := s.kept()
	usual := config.Default()
	if kept != nil {
		usual = *kept
	}
	dir, by := opened(usual.StateDir, config.Default().StateDir, own.StateDir)
	known := by != nil || kept != nil
	if refused == nil && known { // else the machine is only not set up yet
		refused = unfit(name, own.Paths)
	}
	c := usual
	switch {
	case refused == nil:
		c = own
	case by != nil:
		c = *by
	case kept == nil && !errors.Is(lost, fs.ErrNotExist):
		refused = fmt.Errorf("%w, nor %w", refused, lost)
	}
	if by != nil {
		c.StateDir = dir
	}
	if kept != nil {
		c.OnBtrfs = kept.OnBtrfs
	}
	c.Refused = refused
	return c
}

// own returns the configuration in the file and a name for it in errors. If the file is refused
// or missing, it is the default.
func (s Source) own() (name string, c config.Config, refused error) {
	c, err := config.LoadFile(s.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the default configuration", config.Default(), nil
	case err != nil:
		return s.File, config.Default(), err
	}
	return s.File, c, nil
}

// unfit returns an error if the file called name names paths that can't be protected on this
// machine. What can't be found out is no reason to refuse it.
func unfit(name string, paths []string) error {
	for _, path := range paths {
		p, err := protected.Open(path)
		switch {
		case err == nil:
			p.Close()
		case errors.Is(err, protected.ErrUnfit):
			return config.Refuse(name, fmt.Errorf("path %q: %w", path, errors.Unwrap(err)))
		}
	}
	return nil
}

// kept returns the configuration that was last used with success, or why there is none.
func (s Source) kept() (*config.Config, error) {
	f, err := config.OpenTrusted(s.Kept)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKept))
	if err != nil {
		return nil, err
	}
	c, err := config.ParseKept(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Kept, err)
	}
	return &c, nil
}

// opened returns the first of the directories whose state file says that paths are opened, and
// the configuration that opened them. If the file names another directory meanwhile, that has to
// wait: the window, its timer and the runs are recorded in the first one.
func opened(dirs ...string) (dir string, by *config.Config) {
	for _, dir := range dirs {
		if state, err := statefile.Read(dir); err == nil && state.Opened != nil {
			return dir, state.Opened
		}
	}
	return "", nil
}

// Keep notes a configuration that was used with success, for when the file is refused.
func (s Source) Keep(c config.Config) error {
	if kept, _ := s.kept(); kept != nil && reflect.DeepEqual(*kept, c) {
		return nil
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = statedir.MakeDir(filepath.Dir(s.Kept), 0o755)
	}
	if err == nil {
		err = wholefile.WriteDurably(s.Kept, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cannot record the configuration as the last good one: %w", text.Because(err))
	}
	return nil
}

// Named returns the configuration in the file called name, or the one in force if name is "". A
// named file that is refused is an error: a substitute would lock the machine itself where a
// test system was meant.
func Named(name string) (config.Config, error) {
	if name == "" {
		return Machine().Load(), nil
	}
	return config.LoadFile(name)
}
