package system

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// skeleton makes the directories of a Debian root that are not subvolumes.
func (b *builder) skeleton() error {
	for name, mode := range map[string]os.FileMode{
		"boot": 0o755, "dev": 0o755, "home": 0o755, "media": 0o755, "mnt": 0o755, "opt": 0o755,
		"proc": 0o755, "root": 0o700, "run": 0o755, "srv": 0o755, "sys": 0o755, "usr": 0o755,
		"tmp": 0o777 | os.ModeSticky, "var/tmp": 0o777 | os.ModeSticky,
	} {
		if err := b.mkdir(name, mode); err != nil {
			return err
		}
	}
	// Links into /usr on a merged system, else directories of their own.
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if err := b.topLevel(name); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) topLevel(name string) error {
	info, err := os.Lstat("/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return copyLink("/"+name, b.path(name))
	}
	return b.bindReadOnly("/"+name, name)
}

// usr lays the protected subvolume over the machine's /usr, so that programs can
// be installed there without touching the machine, and nothing in /usr can change
// while / is locked.
func (b *builder) usr() error {
	const above, upper, work = ".usr", ".usr/upper", ".usr/work"
	for _, name := range []string{above, upper, work} {
		if err := b.mkdir(name, 0o755); err != nil {
			return err
		}
	}
	// The overlay is nosuid. Through this directory its setuid programs would still work.
	if err := os.Chmod(b.path(above), 0o700); err != nil {
		return err
	}
	options := fmt.Sprintf("lowerdir=/usr,upperdir=%s,workdir=%s", b.path(upper), b.path(work))
	if err := unix.Mount("overlay", b.path("usr"), "overlay", unix.MS_NOSUID, options); err != nil {
		return fmt.Errorf("cannot lay an overlay over /usr (is the kernel module overlay there?): %w", err)
	}
	return nil
}

// install copies what "make install" put into a directory of its own.
func (b *builder) install(staged string) error {
	if err := copyTree(staged, b.root); err != nil {
		return err
	}
	// The machine's cache of icons does not have the new ones. GTK uses none that
	// is older than the directory.
	now := time.Now()
	return os.Chtimes(b.path("usr/share/icons/hicolor"), now, now)
}

// specialMounts gives the system what every Linux has at /proc, /sys, /dev, /run
// and /tmp.
func (b *builder) specialMounts() error {
	if err := unix.Mount("proc", b.path("proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("cannot mount proc: %w", err)
	}
	if err := b.bindReadOnly("/sys", "sys"); err != nil {
		return err
	}
	if err := unix.Mount("/dev", b.path("dev"), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("cannot bind /dev: %w", err)
	}
	for _, m := range []struct{ name, options string }{
		{"run", "mode=0755"},
		{"tmp", "mode=1777"},
		{"dev/shm", "mode=1777"},
	} {
		if err := unix.Mount("tmpfs", b.path(m.name), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, m.options); err != nil {
			return fmt.Errorf("cannot mount a tmpfs on %s: %w", m.name, err)
		}
	}
	// Of root, or the X server would not trust it.
	if err := b.mkdir("tmp/.X11-unix", 0o777|os.ModeSticky); err != nil {
		return err
	}
	if err := b.mkdir(RunDir, 0o755); err != nil {
		return err
	}
	return b.mkdirOwned(b.person.RuntimeDir(), 0o700)
}

// bindReadOnly makes a directory of the machine visible, with every mount below it.
func (b *builder) bindReadOnly(source, name string) error {
	if err := b.mkdir(name, 0o755); err != nil {
		return err
	}
	target := b.path(name)
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("cannot bind %s: %w", source, err)
	}
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, target, unix.AT_RECURSIVE, &readOnly); err != nil {
		return fmt.Errorf("cannot make %s read-only here: %w", source, err)
	}
	return nil
}

// keep binds what must stay reachable.
func (b *builder) keep(all []Kept) error {
	for _, k := range all {
		if err := b.keepOne(k.Source, b.path(k.Target)); err != nil {
			return fmt.Errorf("cannot keep %s: %w", k.Source, err)
		}
	}
	return nil
}

func (b *builder) keepOne(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
		err = os.WriteFile(target, nil, 0o600)
	}
	if err != nil {
		return err
	}
	return unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, "")
}

// home is the person's, on its own subvolume.
func (b *builder) home() error {
	home := strings.TrimPrefix(b.person.Home(), "/")
	for _, name := range []string{home, home + "/.config"} {
		if err := b.mkdirOwned(name, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// state fills the writable islands with the little that programs expect there.
func (b *builder) state() error {
	for _, name := range []string{"var/lib/dpkg", "var/lib/dbus", "var/lib/xkb", "var/log", "var/cache"} {
		if err := b.mkdir(name, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"var/lib/dpkg/status", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend"} {
		if err := os.WriteFile(b.path(name), nil, 0o640); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", b.path("var/run")); err != nil {
		return err
	}
	// Without it every program would read every font of the machine first.
	if _, err := os.Stat("/var/cache/fontconfig"); err == nil {
		return b.bindReadOnly("/var/cache/fontconfig", "var/cache/fontconfig")
	}
	return nil
}
