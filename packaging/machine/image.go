//go:build machine

// Package machine proves Immutray on a whole Debian workstation: a virtual machine with
// the article's btrfs layout, systemd, polkit, a display manager and a desktop. Nothing
// of the machine that runs the tests is touched, and the guest has no network.
//
// It needs root, mmdebstrap and QEMU. KVM is neither needed nor used.
package machine

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// The recipe of the guest.
var (
	//go:embed rootfs.sh
	rootfsScript string
	//go:embed image.sh
	imageScript string
)

// A base is a directory with what a virtual machine is started from.
type base struct{ dir string }

func (b base) disk() string   { return filepath.Join(b.dir, "disk.img") }
func (b base) kernel() string { return filepath.Join(b.dir, "vmlinuz") }
func (b base) initrd() string { return filepath.Join(b.dir, "initrd.img") }
func (b base) key() string    { return filepath.Join(b.dir, "key") }

// cacheDir is where images are kept: outside the work tree, so that "make clean" and a
// fresh checkout find them again.
func cacheDir() string {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		base = "/var/cache"
	}
	return filepath.Join(base, "immutray-machine")
}

// baseOf returns the image of a Debian suite; it makes what is missing.
func baseOf(suite string) (base, error) {
	if err := os.MkdirAll(cacheDir(), 0o755); err != nil {
		return base{}, err
	}
	// Two test runs must not make the same image at once.
	lock, err := os.OpenFile(filepath.Join(cacheDir(), "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return base{}, err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return base{}, err
	}
	rootfs := filepath.Join(cacheDir(), "rootfs-"+hash(suite, rootfsScript))
	if err := once(rootfs, func(dir string) error {
		return script(rootfsScript, suite, filepath.Join(dir, "rootfs.tar"))
	}); err != nil {
		return base{}, fmt.Errorf("cannot install %s: %w", suite, err)
	}
	made := filepath.Join(cacheDir(), "image-"+hash(suite, rootfsScript, imageScript))
	if err := once(made, func(dir string) error {
		return script(imageScript, filepath.Join(rootfs, "rootfs.tar"), dir)
	}); err != nil {
		return base{}, fmt.Errorf("cannot make a disk of %s: %w", suite, err)
	}
	return base{dir: made}, nil
}

// once makes a directory unless it is there already. What was interrupted is not taken
// for done.
func once(dir string, make func(dir string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	unfinished := dir + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return err
	}
	if err := make(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
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
