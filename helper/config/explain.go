package config

import (
	"bytes"
	"io"
	"time"

	"immutray.org/helper/text"
)

// A Setting is a key of the configuration with its value in force, as JSON and TOML have it: a
// text, a list of texts, or a bool.
type Setting struct {
	Key   string
	Value any
}

// Settings returns every key that the file may have, in the order of the manual.
func (c Config) Settings() []Setting {
	occasions := []string{}
	for _, on := range c.RelockOn {
		occasions = append(occasions, string(on))
	}
	return []Setting{
		{"paths", list(c.Paths)},
		{"islands", list(c.Islands)},
		{"optional_islands", list(c.OptionalIslands)},
		{"allow_readonly", list(c.AllowReadonly)},
		{"drain", text.ExactDuration(c.Drain)},
		{"unlock_default", windowText(c.UnlockDefault)},
		{"unlock_max", windowText(c.UnlockMax)},
		{"relock_on", occasions},
		{"log_command_lines", c.LogCommandLines},
		{"state_dir", c.StateDir},
	}
}

// list is never nil, which JSON would call null.
func list(names []string) []string { return append([]string{}, names...) }

func windowText(d time.Duration) string {
	if d == UntilLocked {
		return "until-locked"
	}
	return text.ExactDuration(d)
}

// Lines returns the line of each key in a configuration file, 0 if it is not known.
func Lines(r io.Reader) (map[string]int, error) {
	table, err := ParseTable(r)
	lines := map[string]int{}
	for _, e := range table.entries {
		lines[e.key] = e.line
	}
	return lines, err
}

// Mistakes returns an error for every mistake in a configuration, in the order of the lines.
// Parse stops at the first.
func Mistakes(r io.Reader) []error {
	data, err := readAll(r)
	if err != nil {
		return []error{err}
	}
	var c Config
	errs := Salvage(bytes.NewReader(data), c.keys())
	if len(errs) > 0 {
		return errs
	}
	if _, err := Parse(bytes.NewReader(data)); err != nil { // keys that contradict each other
		return []error{err}
	}
	return nil
}
