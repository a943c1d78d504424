// Package config reads root's configuration, /etc/immutray/config.toml. The file is optional,
// and so is each of its keys.
//
// The file is TOML. It is refused unless only root can have written it, because the helper does
// as root what it says.
package config

import (
	"slices"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// Path is where the configuration is read from.
const Path = "/etc/immutray/config.toml"

// A Config says what is protected, and how. Immutray keeps copies of one as JSON, with times in
// nanoseconds.
type Config struct {
	// Paths are the protected paths, each a mount point.
	Paths []string `json:"paths"`
	// Islands are directories that must stay writable when they exist below a
	// protected path. HomeIsland may instead be left to each person's home.
	Islands []string `json:"islands"`
	// OptionalIslands are directories that programs write to as well. A lock makes those
	// read-only that it covers, and doctor warns of them. VarIsland may be left to the
	// directories in it.
	OptionalIslands []string `json:"optional_islands"`
	// AllowReadonly are islands that may become read-only all the same.
	AllowReadonly []string `json:"allow_readonly"`
	// Drain is how long a lock waits for writers to finish.
	Drain time.Duration `json:"drain"`
	// UnlockDefault is how long an unlock lasts if the request does not say; UntilLocked is
	// until someone locks.
	UnlockDefault time.Duration `json:"unlock_default"`
	// UnlockMax is how long an unlock may last at most; UntilLocked is without a limit.
	UnlockMax time.Duration `json:"unlock_max"`
	// RelockOn are the occasions that lock the system.
	RelockOn []helper.Occasion `json:"relock_on"`
	// LogCommandLines has the journal keep whole command lines of "immutectl run", which
	// may hold a password, instead of the program's name.
	LogCommandLines bool `json:"log_command_lines"`
	// StateDir holds the state file and the lock between helpers.
	StateDir string `json:"state_dir"`

	// OnBtrfs are those of the paths that were on btrfs when they were last locked or
	// unlocked. The file has no word for it; see package inforce.
	OnBtrfs []string `json:"on_btrfs,omitempty"`

	// Refused is why this is not the configuration in the file: that can't be trusted, read or
	// understood, or this machine does not have the paths that it names. It wraps ErrRefused.
	// Package inforce finds the substitute.
	Refused error `json:"-"`
}

// With returns c with further protected paths.
func (c Config) With(paths []string) Config {
	c.Paths = slices.Clone(c.Paths)
	for _, p := range paths {
		if !slices.Contains(c.Paths, p) {
			c.Paths = append(c.Paths, p)
		}
	}
	return c
}

// Refusal returns [Config.Refused] in one line, "" for nil.
func Refusal(refused error) string {
	if refused == nil {
		return ""
	}
	return text.FirstLine(refused.Error(), maxRefusal)
}

// maxRefusal is for what the file may hold in the place of a name, in characters.
const maxRefusal = 300

// HomeIsland is satisfied as well when every directory in it is an island of its own.
const HomeIsland = "/home"

// VarIsland is satisfied in the same way.
const VarIsland = "/var"

// Default returns the configuration without a file.
func Default() Config {
	return Config{
		Paths:           []string{"/", "/etc"},
		Islands:         []string{HomeIsland, "/var/lib", "/var/log", "/var/cache", "/var/spool", "/var/tmp", "/tmp", "/run"},
		OptionalIslands: []string{"/root", "/srv", "/media", "/snap", "/nix", VarIsland},
		Drain:           5 * time.Second,
		UnlockDefault:   time.Hour,
		UnlockMax:       UntilLocked,
		StateDir:        "/run/immutray",
	}
}
