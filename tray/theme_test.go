package tray

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"immutray.org/icons"
)

func TestDesktopTheme(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		want theme
	}{
		{"nothing is set", map[string]string{"HOME": "/home/rrs"},
			theme{"/home/rrs/.local/share/icons", "/usr/local/share/icons", "/usr/share/icons"}},
		{"both are set", map[string]string{"XDG_DATA_HOME": "/d", "XDG_DATA_DIRS": "/a:b::/c"},
			theme{"/d/icons", "/a/icons", "/c/icons"}},
		{"practice", map[string]string{"HOME": "/root", practiceVariable: "1"}, nil},
	} {
		if got := desktopTheme(func(name string) string { return c.env[name] }); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// installDrawings makes a theme that has the symbolic drawings.
func installDrawings(t *testing.T) (dataDir string) {
	t.Helper()
	dataDir = t.TempDir()
	dir := filepath.Join(dataDir, "icons/hicolor/scalable/status")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []icons.Name{icons.Locked, icons.Unlocked} {
		if err := os.WriteFile(filepath.Join(dir, string(name.Symbolic())+".svg"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dataDir
}
