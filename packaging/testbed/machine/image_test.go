// Package machine tests Immutray on a whole Debian workstation: a virtual machine with the
// classic layout, systemd, polkit, a display manager and a desktop. Nothing of the machine
// that runs the tests is touched, and the guest has no network.
//
// It needs root, mmdebstrap and QEMU. KVM is neither needed nor used.
package machine

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/tryout/desktop"
)

// The recipe of the guest.
var (
	//go:embed rootfs.sh
	rootfsScript string
	//go:embed repository.sh
	repositoryScript string
	//go:embed image.sh
	imageScript string
)

// everything is the suite on which everything is tested; on others it is the core:
// install, lock, unlock, seal, reboot.
const everything = "trixie"

// A base is a directory with what a virtual machine is started from.
type base struct{ dir string }

func (b base) disk() disk           { return disk{filepath.Join(b.dir, "disk.img"), "raw"} }
func (b base) kernel() string       { return filepath.Join(b.dir, "vmlinux") }
func (b base) packedKernel() string { return filepath.Join(b.dir, "vmlinuz") }
func (b base) initrd() string       { return filepath.Join(b.dir, "initrd.img") }
func (b base) key() string          { return filepath.Join(b.dir, "key") }

// A disk is a file that QEMU can read.
type disk struct{ file, format string }

// cacheDir is where images are kept: outside the work tree, so that "make clean" and a
// fresh checkout find them again.
func cacheDir() string {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		base = "/var/cache"
	}
	return filepath.Join(base, "immutray-machine")
}

// onlyHere locks a name of the cache against other test runs, until the file is closed.
func onlyHere(name string) (*os.File, error) {
	if err := os.MkdirAll(cacheDir(), 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(cacheDir(), name+".lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// baseOf returns the image of a Debian suite; it makes what is missing.
func baseOf(suite string) (base, error) {
	rootfs, err := once("rootfs-"+suite, cacheTime, hash(rootfsScript), func(dir string) error {
		return script(rootfsScript, suite, filepath.Join(dir, "rootfs.tar"))
	})
	if err != nil {
		return base{}, fmt.Errorf("cannot install %s: %w", suite, err)
	}
	tar := filepath.Join(rootfs, "rootfs.tar")
	settings, err := desktop.PersonalSettings()
	if err != nil {
		return base{}, err
	}
	recipe := []string{rootfsScript, imageScript}
	var repository string
	if suite == everything {
		recipe = append(recipe, repositoryScript)
		repository, err = once("repository-"+suite, cacheTime, hash(rootfsScript, repositoryScript), func(dir string) error {
			return script(repositoryScript, suite, tar, dir)
		})
		if err != nil {
			return base{}, fmt.Errorf("cannot get packages of %s: %w", suite, err)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(settings)) {
		recipe = append(recipe, file, settings[file])
	}
	made, err := once("image-"+suite, cacheTime, hash(recipe...), func(dir string) error {
		desk := filepath.Join(dir, "desk")
		if err := writeAll(desk, settings); err != nil {
			return err
		}
		return script(imageScript, tar, desk, dir, repository)
	})
	if err != nil {
		return base{}, fmt.Errorf("cannot make a disk of %s: %w", suite, err)
	}
	return base{dir: made}, nil
}

// once returns the directory of the cache with this name and version; it makes it unless
// it is there. A directory that was not finished is made again. Other versions that were not
// used for the time of keep are removed.
func once(name string, keep time.Duration, version string, make func(dir string) error) (dir string, err error) {
	making, err := onlyHere(name)
	if err != nil {
		return "", err
	}
	defer making.Close()
	dir = filepath.Join(cacheDir(), name+"-"+version)
	now := time.Now()
	if err := os.Chtimes(dir, now, now); err == nil {
		return dir, nil
	}
	if err := dropOld(name, now.Add(-keep)); err != nil {
		return "", err
	}
	unfinished := dir + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return "", err
	}
	if err := make(unfinished); err != nil {
		return "", err
	}
	return dir, os.Rename(unfinished, dir)
}

// writeAll writes files, by their names below a directory.
func writeAll(dir string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// cacheTime is how long an unused version is kept. Each takes two gigabytes.
const cacheTime = 24 * time.Hour

func dropOld(name string, before time.Time) error {
	versions, err := filepath.Glob(filepath.Join(cacheDir(), name+"-*"))
	if err != nil {
		return err
	}
	for _, dir := range versions {
		info, err := os.Stat(dir)
		if err == nil && info.ModTime().Before(before) {
			err = os.RemoveAll(dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hash names a recipe by its text.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s\n", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// script runs a script in a mount and PID namespace of its own: whatever it mounts or
// starts is gone when it ends, or when this process does.
func script(text string, args ...string) error {
	unshare := []string{
		"--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--kill-child",
		"bash", "-c", text, "script",
	}
	cmd := exec.Command("unshare", append(unshare, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM}
	return cmd.Run()
}
