package islands

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/helper/protected"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestFrozen(t *testing.T) {
	s := lab.New(t)
	mkdir(t, filepath.Join(s.Root, "plain"))
	mkdir(t, filepath.Join(s.Root, "bound"))
	run(t, "mount", "--bind", filepath.Join(s.Root, "plain"), filepath.Join(s.Root, "bound"))
	defer unix.Unmount(filepath.Join(s.Root, "bound"), unix.MNT_DETACH)
	run(t, "btrfs", "subvolume", "create", filepath.Join(s.Root, "nested"))
	for name, target := range map[string]string{"to-writable": "var/tmp", "to-protected": "plain", "dangling": "absent"} {
		if err := os.Symlink(target, filepath.Join(s.Root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, island string
		frozen       bool
	}{
		{"mounted subvolume", "var/lib", false},
		{"plain directory", "plain", true},
		{"bind mount of the protected subvolume", "bound", true},
		{"nested subvolume that is not mounted", "nested", true},
		{"directory of the other protected path", "etc", true},
		{"link to a writable place", "to-writable", false},
		{"link to a protected place", "to-protected", true},
		{"dangling link", "dangling", false},
		{"absent", "absent", false},
	} {
		island := filepath.Join(s.Root, c.island)
		cfg := config.Config{Paths: s.Protected(), Islands: []string{island}}
		if got := frozen(t, cfg); slices.Contains(got, island) != c.frozen {
			t.Errorf("%s: Frozen() = %q, want frozen %v", c.name, got, c.frozen)
		}
		cfg.AllowReadonly = []string{island}
		if got := frozen(t, cfg); len(got) != 0 {
			t.Errorf("%s, allowed: Frozen() = %q", c.name, got)
		}
	}
}

// The classic layout mounts one person's home, not /home.
func TestFrozenHomes(t *testing.T) {
	s := lab.New(t)
	run(t, "btrfs", "subvolume", "create", filepath.Join(s.Top, "homes"))
	run(t, "mount", "-t", "btrfs", "-o", "subvol=/homes", s.Device, config.HomeIsland)
	defer unix.Unmount(config.HomeIsland, unix.MNT_DETACH)
	cfg := config.Config{Paths: []string{config.HomeIsland}, Islands: []string{config.HomeIsland}}
	expect := func(when string, want ...string) {
		t.Helper()
		if got := frozen(t, cfg); !slices.Equal(got, want) {
			t.Errorf("%s: Frozen() = %q, want %q", when, got, want)
		}
	}
	expect("no homes yet")
	mkdir(t, "/home/ann")
	mkdir(t, "/home/rrs")
	if err := os.WriteFile("/home/README", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	expect("two homes", "/home/ann", "/home/rrs")
	run(t, "mount", "-t", "tmpfs", "none", "/home/rrs")
	defer unix.Unmount("/home/rrs", unix.MNT_DETACH)
	expect("one of them an island", "/home/ann")
	mkdir(t, "/home/rrs.old") // what it was before
	expect("what was left behind is none", "/home/ann")
	mkdir(t, "/home/ann.old")
	expect("what only looks so is one", "/home/ann", "/home/ann.old")
	if err := os.Remove("/home/ann.old"); err != nil {
		t.Fatal(err)
	}
	cfg.AllowReadonly = []string{"/home/ann"}
	expect("the other allowed")
}

func frozen(t *testing.T, cfg config.Config) []string {
	t.Helper()
	var paths []*protected.Path
	for _, name := range cfg.Paths {
		p, err := protected.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		paths = append(paths, p)
	}
	got, err := Find(cfg, paths)
	if err != nil {
		t.Fatal(err)
	}
	return Paths(got.Frozen)
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, command ...string) {
	t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}
