package tray

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/icons"
	"immutray.org/notify"
)

func TestParseSettings(t *testing.T) {
	got, faults := parseSettings(strings.NewReader(`
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
	if faults != nil || got != want {
		t.Errorf("parseSettings() = %+v, %q, want %+v", got, faults, want)
	}
	if got, faults := parseSettings(strings.NewReader("")); faults != nil || got != defaultSettings() {
		t.Errorf("parseSettings(nothing) = %+v, %q, want the default", got, faults)
	}
}

// What is wrong has a message, and is all that is not used.
func TestParseSettingsFindsFaults(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "clik = \"lock\"", "line 1: unknown key clik; did you mean click?"},
		{"a key of root's file", `paths = ["/"]`, "line 1: unknown key paths"},
		{"unknown word", `click = "unlock"`, `line 1: click: "unlock" is not one of "toggle", "lock", "menu"`},
		{"word in another case", `icon_style = "Color"`, `"Color" is not one of "color", "symbolic"`},
		{"number for a time", `remind_first = 60`, "line 1: remind_first: it must be a time with its unit"},
		{"too short", `remind_every = "10ms"`, "line 1: remind_every: it must be between 1s and 24h"},
		{"too long", `remind_first = "25h"`, "it must be between"},
		{"not TOML", "click", "line 1: "},
		{"number for a word", "click = 1", "line 1: click: it must be a text"},
	}
	want := defaultSettings()
	want.Remind.Snooze = 2 * time.Hour
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, faults := parseSettings(strings.NewReader(test.text + "\nsnooze = \"2h\"\n"))
			if len(faults) != 1 || !strings.Contains(faults[0], test.want) {
				t.Errorf("parseSettings(%q) has the faults %q, want %q", test.text, faults, test.want)
			}
			if got != want {
				t.Errorf("parseSettings(%q) = %+v, want %+v", test.text, got, want)
			}
		})
	}
}

func TestReadSettings(t *testing.T) {
	dir := t.TempDir()
	if got := readSettings(filepath.Join(dir, "missing", "config.toml")); got.Faults != nil || got.Settings != defaultSettings() {
		t.Errorf("readSettings(missing) = %+v, want the default", got)
	}
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte("\n\nclick = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := readSettings(file); len(got.Faults) != 1 || !strings.Contains(got.Faults[0], "line 3: ") || got.Settings != defaultSettings() || got.Path != file {
		t.Errorf("readSettings() = %+v, want the line and the default", got)
	}
	if got := readSettings(dir); len(got.Faults) != 1 {
		t.Errorf("readSettings(directory) = %+v", got)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := readSettings(fifo); got.Settings != defaultSettings() {
		t.Errorf("readSettings(fifo) = %+v, want the default, and no waiting", got)
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
	if got := ownSettings(); len(got.Faults) != 1 || got.Settings != defaultSettings() {
		t.Errorf("ownSettings() without a home = %+v, want the default and a fault", got)
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add("remind_first = \"5m\"\nclick = 'menu' # c\n")
	f.Add("click = \"\\u0000\"")
	f.Fuzz(func(t *testing.T, text string) {
		s, faults := parseSettings(strings.NewReader(text))
		if slices.Contains(faults, "") {
			t.Error("a fault without words")
		}
		for _, d := range []time.Duration{s.Remind.First, s.Remind.Every, s.Remind.Snooze} {
			if d < shortestTime || d > longestTime {
				t.Errorf("%v is out of bounds in %+v", d, s)
			}
		}
	})
}
