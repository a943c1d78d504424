package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"immutray.org/helper"
)

// ErrRefused is in the chain of every error of this package's Load functions: the
// configuration can't be trusted, read or understood.
var ErrRefused = errors.New("configuration refused")

// LoadFile returns the configuration in the file at path, which must be absolute. Every error
// wraps ErrRefused. Any user may call it.
func LoadFile(path string) (Config, error) {
	f, err := OpenTrusted(path)
	if err != nil {
		return Config{}, Refuse(path, err)
	}
	defer f.Close()
	c, err := Parse(f)
	if err != nil {
		return Config{}, Refuse(path, err)
	}
	return c, nil
}

// Parse reads a configuration; keys that it lacks keep their default.
func Parse(r io.Reader) (Config, error) {
	table, err := ParseTable(r)
	if err != nil {
		return Config{}, err
	}
	c := Default()
	defaultIsSet := table.has("unlock_default")
	if err := table.Apply(c.keys()); err != nil {
		return Config{}, err
	}
	if exceeds(c.UnlockDefault, c.UnlockMax) {
		if defaultIsSet {
			return Config{}, errors.New("unlock_default is longer than unlock_max")
		}
		c.UnlockDefault = c.UnlockMax
	}
	if slices.Contains(c.Paths, c.StateDir) {
		return Config{}, fmt.Errorf("state_dir %s is a protected path; it must stay writable", c.StateDir)
	}
	return c, nil
}

// ParseKept reads a configuration that was kept as JSON.
func ParseKept(data []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return Config{}, err
	}
	return c, c.Check()
}

// Check refuses values that no configuration file can have.
func (c Config) Check() error {
	least := 1
	for _, list := range [][]string{c.Paths, c.Islands, c.OptionalIslands, c.AllowReadonly} {
		if err := checkPaths(list, least); err != nil {
			return err
		}
		least = 0
	}
	if err := checkPath(c.StateDir); err != nil {
		return err
	}
	switch {
	case c.StateDir == "/" || slices.Contains(c.Paths, c.StateDir):
		return errors.New("its state_dir does not stay writable")
	case c.Drain < 0 || c.Drain > helper.MaxDrain:
		return errors.New("its drain is out of bounds")
	case c.UnlockDefault < 0 || c.UnlockDefault > helper.LongestWindow || c.UnlockMax < 0 || c.UnlockMax > helper.LongestWindow:
		return errors.New("its windows are out of bounds")
	}
	return nil
}

// keys returns every key that the file may have.
func (c *Config) keys() []Key {
	return []Key{
		{"paths", func(v Value) error { return setPaths(&c.Paths, v, 1) }},
		{"islands", func(v Value) error { return setPaths(&c.Islands, v, 0) }},
		{"optional_islands", func(v Value) error { return setPaths(&c.OptionalIslands, v, 0) }},
		{"allow_readonly", func(v Value) error { return setPaths(&c.AllowReadonly, v, 0) }},
		{"drain", func(v Value) (err error) {
			c.Drain, err = v.Duration(0, helper.MaxDrain)
			return err
		}},
		{"unlock_default", func(v Value) error { return setWindow(&c.UnlockDefault, v) }},
		{"unlock_max", func(v Value) error { return setWindow(&c.UnlockMax, v) }},
		{"relock_on", func(v Value) error { return setOccasions(&c.RelockOn, v) }},
		{"log_command_lines", func(v Value) (err error) {
			c.LogCommandLines, err = v.Bool()
			return err
		}},
		{"state_dir", func(v Value) error {
			dir, err := v.Text()
			if err == nil {
				err = checkPath(dir)
			}
			if err == nil && dir == "/" {
				err = errors.New("it must be a directory of its own, not /")
			}
			c.StateDir = dir
			return err
		}},
	}
}

func setPaths(to *[]string, v Value, least int) error {
	paths, err := v.Texts()
	if err == nil {
		err = checkPaths(paths, least)
	}
	if err == nil {
		*to = paths
	}
	return err
}

func checkPaths(paths []string, least int) error {
	if len(paths) < least {
		return errors.New("it names no path; remove the key to use the default")
	}
	for i, p := range paths {
		if err := checkPath(p); err != nil {
			return err
		}
		if slices.Contains(paths[:i], p) {
			return fmt.Errorf("%q is listed twice", p)
		}
	}
	return nil
}

// checkPath refuses a path that is not absolute, or not in its shortest form.
func checkPath(p string) error {
	switch {
	case p == "":
		return errors.New("a path is empty")
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("%q is not an absolute path; it must begin with /", p)
	case slices.Contains(strings.Split(p, "/"), ".."):
		return fmt.Errorf("%q contains ..; write the path without it", p)
	case path.Clean(p) != p:
		return fmt.Errorf("%q must be written as %q", p, path.Clean(p))
	}
	return nil
}

// A refusal says which file was refused, and why.
type refusal struct {
	path string
	err  error
}

// Refuse returns the error for the file at path, which can't be used for the reason err.
func Refuse(path string, err error) error { return &refusal{path, err} }

func (r *refusal) Error() string { return fmt.Sprintf("cannot use %s: %v", r.path, r.err) }

func (r *refusal) Unwrap() []error { return []error{ErrRefused, r.err} }
