package tray

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"immutray.org/notify"
)

// A followedFile is one whose settings followSettings reads.
type followedFile struct {
	t     *testing.T
	path  string
	reads chan settingsFile
}

func followFile(t *testing.T, path string) *followedFile {
	t.Helper()
	f := &followedFile{t, path, make(chan settingsFile, 64)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- followSettings(ctx, path, func(s settingsFile) { f.reads <- s }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(timeout):
			t.Error("it does not end")
		}
	})
	f.wait(notify.DefaultSettings().Snooze)
	return f
}

// wait waits until the file was read with this snooze.
func (f *followedFile) wait(snooze time.Duration) {
	f.t.Helper()
	for giveUp := time.After(timeout); ; {
		select {
		case got := <-f.reads:
			if got.Settings.Remind.Snooze == snooze {
				return
			}
		case <-giveUp:
			f.t.Fatalf("no snooze of %v was read", snooze)
		}
	}
}

func saveSettings(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSettingsAreFollowed(t *testing.T) {
	config := filepath.Join(t.TempDir(), ".config")
	dir := filepath.Join(config, "immutray")
	path := filepath.Join(dir, "config.toml")
	f := followFile(t, path)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(config, 0o700))
	must(os.Mkdir(dir, 0o700))
	saveSettings(t, path, `snooze = "2h"`)
	f.wait(2 * time.Hour)
	saveSettings(t, path, `snooze = "3h"`)
	f.wait(3 * time.Hour)
	// As most editors save.
	saveSettings(t, path+"~", `snooze = "4h"`)
	must(os.Rename(path+"~", path))
	f.wait(4 * time.Hour)
	must(os.Remove(path))
	f.wait(time.Hour)
	// A file that is kept elsewhere, and saved there in either way.
	elsewhere := filepath.Join(t.TempDir(), "mine.toml")
	saveSettings(t, elsewhere, `snooze = "5h"`)
	must(os.Symlink(elsewhere, path))
	f.wait(5 * time.Hour)
	saveSettings(t, elsewhere, `snooze = "6h"`)
	f.wait(6 * time.Hour)
	saveSettings(t, elsewhere+"~", `snooze = "7h"`)
	must(os.Rename(elsewhere+"~", elsewhere))
	f.wait(7 * time.Hour)
	must(os.RemoveAll(config))
	f.wait(time.Hour)
	must(os.MkdirAll(dir, 0o700))
	saveSettings(t, path, `snooze = "8h"`)
	f.wait(8 * time.Hour)
}

// What happens beside the file wakes no one.
func TestOtherFilesAreNotSettings(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	f := followFile(t, path)
	for range 10 {
		saveSettings(t, filepath.Join(dir, "other"), "")
	}
	saveSettings(t, path, `snooze = "2h"`)
	f.wait(2 * time.Hour)
	if n := len(f.reads); n > 1 {
		t.Errorf("%d readings more", n)
	}
}

func TestSettingsThatCannotBeWatched(t *testing.T) {
	if err := followSettings(context.Background(), "", func(settingsFile) { t.Error("read") }); err != nil {
		t.Errorf("without a path: %v", err)
	}
}

// The faults are shown once, again when they are others, and go when there are none.
func TestFaultsOfSettings(t *testing.T) {
	s := newStage(t, defaultSettings(), lockedAt)
	s.clearLog()
	bad := settingsFile{Path: "/home/rrs/config.toml", Settings: defaultSettings(), Faults: []string{"line 1: no"}}
	s.c.SettingsRead(bad)
	s.c.SettingsRead(bad)
	s.expectLog("settings: A setting of yours is not used | /home/rrs/config.toml / Line 1: no.")
	s.clearLog()
	bad.Faults = []string{"line 1: a", "line 2: b", "line 3: c", "line 4: d"}
	s.c.SettingsRead(bad)
	s.expectLog("settings: 4 of your settings are not used | /home/rrs/config.toml / Line 1: a. / Line 2: b. / Line 3: c. / and 1 more")
	s.clearLog()
	good := settingsFile{Settings: defaultSettings()}
	good.Settings.Remind.Every, good.Settings.Click = time.Minute, clickMenu
	s.c.SettingsRead(good)
	s.expectLog("use {5m0s 1m0s 1h0m0s}", "close settings")
	s.clearLog()
	// Until the panel has seen the icon anew, it passes a click on.
	s.c.Activate()
	s.expectLog("feedback: A click will open the menu | Choose Quit in the menu, then start Immutray again.")
}
