package tray

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/helper/text"
	"immutray.org/icons"
	"immutray.org/notify"
)

// A click says what a click on the padlock does.
type click string

// The clicks. Everything they do is in the menu as well.
const (
	clickToggle click = "toggle" // lock, or ask to unlock when locked
	clickLock   click = "lock"   // lock, never unlock
	clickMenu   click = "menu"   // open the menu
)

// settings are what a person has set for himself.
type settings struct {
	Remind notify.Settings
	Click  click
	Style  icons.Style
}

// defaultSettings are those of a person who has set nothing.
func defaultSettings() settings {
	return settings{Remind: notify.DefaultSettings(), Click: clickToggle, Style: icons.Color}
}

// Bounds of the times: at a second the reminder is already a nuisance, and a day
// without one is no reminder.
const (
	shortestTime = time.Second
	longestTime  = 24 * time.Hour
)

// settingsPath returns where the person's settings are, usually
// ~/.config/immutray/config.toml.
func settingsPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("cannot find the settings: %w", err)
	}
	return filepath.Join(dir, "immutray", "config.toml"), nil
}

// A settingsFile is a file of settings as it was read.
type settingsFile struct {
	Path     string
	Settings settings
	Faults   []string // what in it is not used, and why; each names the line
}

// readSettings reads the settings in the file at path. What is wrong in it, or not there, is
// left at its default.
func readSettings(path string) settingsFile {
	file := settingsFile{Path: path, Settings: defaultSettings()}
	// O_NONBLOCK: a FIFO in its place must not keep the applet from starting.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return file
	}
	if err != nil {
		file.Faults = []string{"cannot read it: " + text.Because(err).Error()}
		return file
	}
	defer f.Close()
	file.Settings, file.Faults = parseSettings(f)
	return file
}

// parseSettings reads settings; keys that are not there or wrong keep their default.
func parseSettings(r io.Reader) (s settings, faults []string) {
	s = defaultSettings()
	for _, err := range config.Salvage(r, s.keys()) {
		faults = append(faults, err.Error())
	}
	return s, faults
}

func (s *settings) keys() []config.Key {
	return []config.Key{
		{Name: "remind_first", Set: setTime(&s.Remind.First)},
		{Name: "remind_every", Set: setTime(&s.Remind.Every)},
		{Name: "snooze", Set: setTime(&s.Remind.Snooze)},
		{Name: "click", Set: setWord(&s.Click, clickToggle, clickLock, clickMenu)},
		{Name: "icon_style", Set: setWord(&s.Style, icons.Color, icons.Symbolic)},
	}
}

func setTime(to *time.Duration) func(config.Value) error {
	return func(v config.Value) error {
		d, err := v.Duration(shortestTime, longestTime)
		if err == nil {
			*to = d
		}
		return err
	}
}

func setWord[T ~string](to *T, words ...T) func(config.Value) error {
	return func(v config.Value) error {
		given, err := v.Text()
		if err != nil {
			return err
		}
		known := make([]string, len(words))
		for i, word := range words {
			if given == string(word) {
				*to = word
				return nil
			}
			known[i] = fmt.Sprintf("%q", word)
		}
		return fmt.Errorf("%q is not one of %s", given, strings.Join(known, ", "))
	}
}
