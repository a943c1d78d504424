package islands

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/helper/protected"
	"immutray.org/packaging/testbed/lab"
)

// An island freezes also with what is mounted below it, and with what it is made of. What
// is found is what the kernel does.
func TestWhatAnIslandIsMadeOf(t *testing.T) {
	s := lab.New(t)
	for _, dir := range []string{
		"opt/data", "opt/upper", "opt/work", "opt/over", "disk-tmp/upper", "disk-tmp/work",
		"var/lib/bound", "var/lib/own", "var/lib/read-only", "var/lib/overlay", "var/lib/other-overlay", "var/lib/hidden",
	} {
		if err := os.MkdirAll(filepath.Join(s.Root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(s.Root, name) }
	mounted := func(target string, command ...string) {
		t.Helper()
		run(t, append(append([]string{"mount"}, command...), at(target))...)
		t.Cleanup(func() { unix.Unmount(at(target), unix.MNT_DETACH) })
	}
	overlay := func(on string) []string {
		return []string{"-t", "overlay", "over", "-o", "lowerdir=" + at("usr") + ",upperdir=" + at(on+"/upper") + ",workdir=" + at(on+"/work")}
	}
	mkdir(t, at("usr"))
	mounted("var/lib/bound", "--bind", at("opt/data"))
	mounted("var/lib/own", "--bind", at("disk-tmp"))
	mounted("var/lib/read-only", "-o", "bind,ro", at("opt/data"))
	mounted("var/lib/overlay", overlay("opt")...)
	mounted("var/lib/other-overlay", overlay("disk-tmp")...)
	mkdir(t, at("var/lib/hidden/below"))
	mounted("var/lib/hidden/below", "--bind", at("opt/data"))
	mounted("var/lib/hidden", "-t", "tmpfs", "none")
	mounted("opt/over", "-t", "tmpfs", "none")

	cfg := config.Config{Paths: s.Protected(), Islands: []string{at("var/lib"), at("var/lib/overlay"), at("opt/over")}}
	want := []string{at("var/lib/bound"), at("var/lib/overlay")}
	if got := frozen(t, cfg); !slices.Equal(got, want) {
		t.Errorf("Find() = %q, want %q", got, want)
	}
	for allowed, left := range map[string][]string{
		at("var/lib/bound"): want[1:],
		at("var/lib"):       want[1:], // the overlay is an island of its own as well
	} {
		cfg.AllowReadonly = []string{allowed}
		if got := frozen(t, cfg); !slices.Equal(got, left) {
			t.Errorf("with %s allowed: Find() = %q, want %q", allowed, got, left)
		}
	}

	root, err := protected.Open(s.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.SetProperty(true); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bound", "own", "overlay", "other-overlay", "hidden"} {
		err := s.Writable(at("var/lib/" + name))
		if slices.Contains(want, at("var/lib/"+name)) != errors.Is(err, unix.EROFS) {
			t.Errorf("with the property set, %s can be written: %v", name, err)
		}
	}
}

func TestAnImageInAProtectedSubvolume(t *testing.T) {
	lab.Require(t, "mkfs.ext4:e2fsprogs")
	s := lab.New(t)
	for image, want := range map[string][]string{"srv.img": {filepath.Join(s.Root, "srv")}, "var/lib/srv.img": nil} {
		image, island := filepath.Join(s.Root, image), filepath.Join(s.Root, "srv")
		if err := os.WriteFile(image, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(image, 4<<20); err != nil {
			t.Fatal(err)
		}
		run(t, "mkfs.ext4", "-q", image)
		if err := os.MkdirAll(island, 0o755); err != nil {
			t.Fatal(err)
		}
		run(t, "mount", "-o", "loop", image, island)
		got := frozen(t, config.Config{Paths: s.Protected(), Islands: []string{island}})
		run(t, "umount", island) // frees the loop device
		if !slices.Equal(got, want) {
			t.Errorf("with %s: Find() = %q, want %q", image, got, want)
		}
	}
}

// The kernel has of a mergerfs what that told it, and of a mount with fusermount whatever
// its user liked.
func TestMergerfs(t *testing.T) {
	s := lab.New(t)
	island := filepath.Join(s.Root, "srv")
	for _, dir := range []string{"srv", "opt", "opt/one", "disk-tmp/two"} {
		mkdir(t, filepath.Join(s.Root, dir))
	}
	on, off := filepath.Join(s.Root, "opt/one"), filepath.Join(s.Root, "disk-tmp/two")
	cfg := config.Config{Paths: s.Protected(), Islands: []string{island}}
	for _, c := range []struct {
		name, kind, source, user string
		frozen                   bool
	}{
		{"branches", "fuse.mergerfs", off[1:] + ":" + on[1:], "0", true},
		{"writable branches", "fuse.mergerfs", off + ":" + s.Root + "/var/lib", "0", false},
		{"a read-only branch", "fuse.mergerfs", on + "=RO:" + off, "0", false},
		{"a pattern that fits a mount", "fuse.mergerfs", s.Root + "/et?", "0", true},
		{"one directory", "fuse.bindfs", on, "0", true},
		{"a user's", "fuse.mergerfs", on, "1000", false},
		{"a host's directory", "fuse.sshfs", "host:" + on, "0", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			mountFuse(t, island, c.kind, c.source, "group_id=0,user_id="+c.user)
			if got := frozen(t, cfg); slices.Contains(got, island) != c.frozen {
				t.Errorf("Find() = %q, want frozen %v", got, c.frozen)
			}
		})
	}
}

func TestMergerfsInFstab(t *testing.T) {
	const fstab = `# /a:/b /tmp fuse.mergerfs
UUID=x / btrfs defaults 0 0
/mnt/disk1:/mnt/disk2=NC,50G /srv\040x mergerfs allow_other 0 0
/ram-tmp:/disk-tmp /tmp fuse.mergerfs defaults
short
`
	for point, want := range map[string]string{"/srv x": "/mnt/disk1:/mnt/disk2=NC,50G", "/tmp": "/ram-tmp:/disk-tmp", "/": "", "/other": ""} {
		if got := mergerfsIn(fstab, point); got != want {
			t.Errorf("mergerfsIn(%q) = %q, want %q", point, got, want)
		}
	}
}
