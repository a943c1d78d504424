// Package inforce finds the configuration that is in force: root's file, or what stands
// in for it when that is refused.
//
// Nothing toward locked depends on that file. A word mistyped, a wrong owner, a disk that
// can't be read: none of them may keep the system from being locked, or its state from
// being told. Then what was opened stands in, until it is locked again; else the
// configuration that was last used with success, which root keeps; else the defaults.
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
// seal reads it, for which local file systems are mounted; everyone may read it.
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

// Load returns the configuration in force. Config.Refused is set when that is not what
// the file says. Any user may call it.
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

// own returns what the file says, and what to call that. When it is refused, or missing,
// that is the default.
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

// unfit returns why the file called name is refused when it names something that can't be
// protected on this machine as it is, and nil when it does not. What can't be found out is
// no reason.
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

// opened returns the first of the directories in which something is on record as opened,
// and by which configuration. A file that names another directory meanwhile has to wait:
// the window, its timer and the commands at work are on record where they began.
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

// Named returns the configuration in the file that someone named, or what is in force
// when name is "". A named file that is refused is an error: what stands in for it would
// lock the machine itself where a test system was meant.
func Named(name string) (config.Config, error) {
	if name == "" {
		return Machine().Load(), nil
	}
	return config.LoadFile(name)
}
