// Package desktop holds the entries by which a desktop finds and starts the
// applet. It has no code, only a test of the files.
package desktop

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

var entries = []string{"immutray.desktop", "immutray-autostart.desktop"}

func TestEntriesAreValid(t *testing.T) {
	lab.Require(t, "desktop-file-validate:desktop-file-utils")
	out, err := exec.Command("desktop-file-validate", entries...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("desktop-file-validate %v: %v\n%s", entries, err, out)
	}
}

func TestEntriesStartTheApplet(t *testing.T) {
	for _, name := range entries {
		keys := readEntry(t, name)
		for key, want := range map[string]string{
			"Exec":          "immutray",
			"TryExec":       "immutray", // an uninstalled program leaves no broken entry
			"Icon":          "immutray",
			"Terminal":      "false",
			"StartupNotify": "false", // no window ever opens: the cursor would stay busy
		} {
			if got := keys[key]; got != want {
				t.Errorf("%s: %s=%s, want %s", name, key, got, want)
			}
		}
	}
}

// GNOME 49 and newer ignore an entry with X-GNOME-Autostart-Phase, and
// systemd-xdg-autostart-generator(8) makes no unit of it. The applet is of use on
// every desktop, so OnlyShowIn has no place either.
func TestAutostartIsForEveryDesktop(t *testing.T) {
	keys := readEntry(t, "immutray-autostart.desktop")
	for _, key := range []string{
		"X-GNOME-Autostart-Phase", "OnlyShowIn", "NotShowIn", "Hidden", "NoDisplay", "X-systemd-skip",
	} {
		if value, ok := keys[key]; ok {
			t.Errorf("immutray-autostart.desktop has %s=%s", key, value)
		}
	}
}

func readEntry(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	keys := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(key, "#") {
			keys[key] = value
		}
	}
	return keys
}
