package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/helper/islands"
	"immutray.org/packaging/testbed/lab"
)

// The classic layout keeps apart what must stay writable, but not what Debian writes to
// besides. The lock goes on, and the doctor warns.
func TestOptionalIslands(t *testing.T) {
	s := lab.New(t)
	run(t, "mount", "-t", "btrfs", "-o", "subvol=/ROOTVOL/var/cache", s.Device, config.VarIsland)
	t.Cleanup(func() { unix.Unmount(config.VarIsland, unix.MNT_DETACH) })
	p := newPatient(t, s, s.Root)
	p.Config.Paths = append(p.Config.Paths, config.VarIsland)
	p.Config.Islands = []string{filepath.Join(config.VarIsland, "lib")}
	admin, empty := filepath.Join(s.Root, "root"), filepath.Join(s.Root, "srv")
	p.Config.OptionalIslands = []string{admin, empty, config.VarIsland, filepath.Join(s.Root, "absent")}
	for _, dir := range []string{admin, empty, "/var/lib", "/var/backups", "/var/local", "/var/www"} {
		mkdir(t, dir)
	}
	for _, file := range []string{admin + "/.bashrc", "/var/lib/kept", "/var/backups/dpkg.status.0", "/var/www/index.html"} {
		write(t, file, "")
	}
	if err := os.Symlink("/run", "/var/run"); err != nil {
		t.Fatal(err)
	}
	p.Config.AllowReadonly = []string{"/var/www"}

	var mends []string
	g := &gatherer{System: p.System}
	g.readMounts()
	g.open()
	defer g.close()
	g.optional()
	for _, f := range checkOptional(g.Facts) {
		if f.Severity != Warning {
			t.Errorf("%+v", f)
		}
		mends = append(mends, f.Mend...)
	}
	want := []string{"immutectl island " + admin, "immutectl island /var/backups"}
	slices.Sort(want)
	slices.Sort(mends)
	if !slices.Equal(mends, want) || len(g.Unseen) != 0 {
		t.Errorf("the doctor says %q, unseen %q, want %q", mends, g.Unseen, want)
	}
	// A lock is not refused for them.
	if found, err := islands.Find(p.Config, g.opened); err != nil || !slices.Equal(islands.Paths(found.Frozen), []string{"/var/lib"}) {
		t.Errorf("Find() = %v, %v", found, err)
	}
	// With the directory above, they move too.
	g.Frozen = []Place{{Name: config.VarIsland}}
	if got := checkOptional(g.Facts); len(got) != 1 {
		t.Errorf("with /var missing: %+v", got)
	}
}

func TestMedia(t *testing.T) {
	for _, c := range []struct {
		name, release, udisks string
		want                  bool
	}{
		{"Debian", "ID=debian\n", "usr/libexec/udisks2", true},
		{"Ubuntu", "ID=ubuntu\nID_LIKE=debian\n", "usr/lib/udisks2", true},
		{"without udisks2", "ID=debian\n", "usr/lib/other", false},
		{"Fedora", "ID=fedora\n", "usr/libexec/udisks2", false},
	} {
		root := t.TempDir()
		mkdir(t, filepath.Join(root, "etc"))
		mkdir(t, filepath.Join(root, c.udisks))
		write(t, filepath.Join(root, "etc/os-release"), c.release)
		write(t, filepath.Join(root, c.udisks, "udisksd"), "")
		g := &gatherer{System: &System{Root: root}}
		if got := g.hasMedia(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
