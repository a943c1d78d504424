package doctor

import (
	"strings"
	"testing"
)

// The layouts of installers that need nothing but subvolumes for directories. What the
// doctor prints is pasted, and the next boot can be locked.
func TestLayoutsAreMended(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, l.options, l.subvolumes...)
			w.fstab(t, func(s string) string { return strings.TrimSuffix(s, "\n") }) // a last line that does not end
			const inUse = "mount -t tmpfs none /mnt; echo mine >/mnt/file"
			r := w.ask(t, inUse)
			for _, f := range layout(r) {
				if f.Severity == Problem && len(f.Mend) == 0 {
					t.Errorf("no commands for %s: %s", f.What, f.Why)
				}
			}
			shell := []string{"bash", "dash"}[len(name)%2]
			if mounts, told := w.mend(t, shell, inUse, r); mounts != "" || strings.Contains(told, "failed") {
				t.Errorf("mending leaves:\n%sand tells:\n%s", mounts, told)
			}
			w.expectLockable(t)
			// Nothing is in the root's subvolume: a rollback to a snapshot of it boots.
			run(t, "btrfs", "subvolume", "snapshot", w.Top+w.root, w.Top+"/rollback")
			w.root = "/rollback"
			w.boot(t, "[ -e /var/lib/dpkg/kept ] && [ -e /home/rrs/kept ]")
		})
	}
}

type installed struct {
	options    string
	subvolumes []string
}

func layouts() map[string]installed {
	return map[string]installed{
		"Debian":    {"defaults", []string{"@rootfs:/"}},
		"Ubuntu":    {"defaults", []string{"@:/", "@home:/home"}},
		"Fedora":    {"compress=zstd:1", []string{"root:/", "home:/home"}},
		"Calamares": {"defaults,noatime,compress=lzo", []string{"@:/", "@home:/home", "@cache:/var/cache", "@log:/var/log"}},
		"CachyOS":   {"defaults,noatime,compress=zstd", []string{"@:/", "@home:/home", "@root:/root", "@srv:/srv", "@cache:/var/cache", "@tmp:/var/tmp", "@log:/var/log"}},
		"siduction": {"defaults", []string{"@:/", "@home:/home", "@root:/root", "@var@log:/var/log"}},
		"archinstall": {"rw,relatime,compress=zstd:3", []string{
			"@:/", "@home:/home", "@log:/var/log", "@pkg:/var/cache/pacman/pkg", "@.snapshots:/.snapshots",
		}},
		"openSUSE": {"defaults", []string{
			"@/.snapshots/1/snapshot:/", "@/.snapshots:/.snapshots", "@/var:/var", "@/usr/local:/opt/local", "@/srv:/srv", "@/root:/root", "@/home:/home",
		}},
	}
}
