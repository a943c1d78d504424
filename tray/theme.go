package tray

import (
	"os"
	"path/filepath"

	"immutray.org/icons"
)

// A theme is where the desktop looks for the drawings of hicolor, the icon theme that every
// other one falls back to: directories named icons.
type theme []string

// has reports whether a drawing that scales is installed.
func (t theme) has(name string) bool {
	for _, dir := range t {
		if _, err := os.Stat(filepath.Join(dir, "hicolor/scalable/status", name+".svg")); err == nil {
			return true
		}
	}
	return false
}

// desktopTheme returns where the session's programs look, as the XDG Base Directory
// Specification has it. In the practice system there is nothing: the person's own panel, which
// may show the icon, does not see the files that are installed there.
func desktopTheme(getenv func(string) string) theme {
	if getenv(practiceVariable) == "1" {
		return nil
	}
	home, shared := getenv("XDG_DATA_HOME"), getenv("XDG_DATA_DIRS")
	if home == "" {
		home = filepath.Join(getenv("HOME"), ".local/share")
	}
	if shared == "" {
		shared = "/usr/local/share:/usr/share"
	}
	var dirs theme
	for _, dir := range append([]string{home}, filepath.SplitList(shared)...) {
		if filepath.IsAbs(dir) { // the specification has others ignored
			dirs = append(dirs, filepath.Join(dir, "icons"))
		}
	}
	return dirs
}

// pictures returns the properties that show an icon: its name if it is symbolic and installed,
// and in any case the pixmaps, in several sizes, so that a tray takes the one that fits its
// panel instead of blurring another.
//
// A tray takes the name first, and recolours the drawing where it can. MATE's shows a broken
// picture for a name that it does not find, without a look at the pixmaps (update in
// sn-item-v0.c). While the item needs attention, trays show the pictures for that, and GNOME's
// shows nothing if there are none (_updateIcon in appIndicator.js): so they are the same.
func (t theme) pictures(icon icons.Name, style icons.Style) map[string]any {
	named, picture := "", pixmaps(icon, style)
	if symbolic := string(icon.Symbolic()); style == icons.Symbolic && t.has(symbolic) {
		named = symbolic
	}
	return map[string]any{
		"IconName": named, "IconPixmap": picture,
		"AttentionIconName": named, "AttentionIconPixmap": picture,
	}
}
