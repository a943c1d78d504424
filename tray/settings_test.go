package tray

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/icons"
	"immutray.org/notify"
)

func TestParseSettings(t *testing.T) {
	got, err := parseSettings(strings.NewReader(`
# mine
remind_first = "1m"
remind_every = "30m"
snooze = "2h"
click = "menu"
icon_style = "symbolic"
`))
	want := settings{
		Remind: notify.Settings{First: time.Minute, Every: 30 * time.Minute, Snooze: 2 * time.Hour},
		Click:  clickMenu,
		Style:  icons.Symbolic,
	}
	if err != nil || got != want {
		t.Errorf("parseSettings() = %+v, %v, want %+v", got, err, want)
	}
	if got, err := parseSettings(strings.NewReader("")); err != nil || got != defaultSettings() {
		t.Errorf("parseSettings(nothing) = %+v, %v, want the default", got, err)
	}
}

func TestParseSettingsRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "click = \"lock\"\nclik = \"lock\"", "line 2: unknown key clik; did you mean click?"},
		{"a key of root's file", `paths = ["/"]`, "line 1: unknown key paths"},
		{"unknown word", `click = "unlock"`, `line 1: click: "unlock" is not one of "toggle", "lock", "menu"`},
		{"word in another case", `icon_style = "Color"`, `"Color" is not one of "color", "symbolic"`},
		{"number for a time", `snooze = 60`, "line 1: snooze: it must be a time with its unit"},
		{"too short", `remind_every = "10ms"`, "line 1: remind_every: it must be between 1s and 24h"},
		{"too long", `remind_first = "25h"`, "it must be between"},
		{"twice", "click = \"lock\"\nclick = \"menu\"", "line 2: "},
		{"not TOML", "click", "line 1: "},
		{"number for a word", "click = 1", "line 1: click: it must be a text"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parseSettings(strings.NewReader(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("parseSettings(%q) = %v, want %q", test.text, err, test.want)
			}
		})
	}
}

func TestLoadSettings(t *testing.T) {
	dir := t.TempDir()
	if got, err := loadSettings(filepath.Join(dir, "missing", "config.toml")); err != nil || got != defaultSettings() {
		t.Errorf("loadSettings(missing) = %+v, %v, want the default", got, err)
	}
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte("\n\nclick = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := loadSettings(file)
	if err == nil || !strings.Contains(err.Error(), file+": line 3: ") {
		t.Errorf("loadSettings() = %v, want the file and the line", err)
	}
	if got != defaultSettings() {
		t.Errorf("loadSettings() = %+v, want the default", got)
	}
	if _, err := loadSettings(dir); err == nil {
		t.Error("loadSettings(directory) = nil")
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := loadSettings(fifo); got != defaultSettings() {
		t.Errorf("loadSettings(fifo) = %+v, %v, want the default, and no waiting", got, err)
	}
}

func TestSettingsPath(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", "/somewhere")
	if got, err := settingsPath(); err != nil || got != "/somewhere/immutray/config.toml" {
		t.Errorf("settingsPath() = %q, %v", got, err)
	}
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "/home/rrs")
	if got, err := settingsPath(); err != nil || got != "/home/rrs/.config/immutray/config.toml" {
		t.Errorf("settingsPath() = %q, %v", got, err)
	}
	t.Setenv("HOME", "")
	if got, err := ownSettings(); err == nil || got != defaultSettings() {
		t.Errorf("ownSettings() without a home = %+v, %v, want the default and an error", got, err)
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add("remind_first = \"5m\"\nclick = 'menu' # c\n")
	f.Add("click = \"\\u0000\"")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSettings(strings.NewReader(text))
		if err != nil {
			if errors.Unwrap(err) == nil && err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, d := range []time.Duration{s.Remind.First, s.Remind.Every, s.Remind.Snooze} {
			if d < shortestTime || d > longestTime {
				t.Errorf("%v is out of bounds in %+v", d, s)
			}
		}
	})
}
