package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The subvolumes of the classic layout, relative to the root: the protected ones, and the
// writable islands. Each is mounted at its own path.
var (
	Protected = []string{"", "etc"}
	Islands   = []string{"home/rrs", "var/lib", "var/spool", "var/log", "var/cache", "var/tmp", "swap", "disk-tmp"}
)

// imageSize is sparse; mkfs.btrfs wants 109 MiB at least.
const imageSize = 512 << 20

// A System is a loop-mounted btrfs with the subvolumes of the classic layout, each mounted as
// that layout's fstab does, but below Root instead of /.
type System struct {
	Dir    string // everything is below it, a directory owned by root
	Root   string // protected, subvolume /ROOTVOL
	Etc    string // protected, subvolume /ROOTVOL/etc
	Top    string // the whole file system, subvolume id 5
	State  string // an empty directory for the helper's state
	Device string // the loop device

	mounted []string
}

// Build makes an image below dir and mounts it. The caller must be in namespaces
// of its own (see [Enter]).
func Build(dir string) (*System, error) {
	if !Inside() {
		return nil, fmt.Errorf("refusing to mount in the machine's own namespace")
	}
	s := &System{
		Dir:   dir,
		Root:  filepath.Join(dir, "root"),
		Etc:   filepath.Join(dir, "root", "etc"),
		Top:   filepath.Join(dir, "top"),
		State: filepath.Join(dir, "state"),
	}
	if err := s.build(); err != nil {
		s.Close()
		return nil, fmt.Errorf("cannot build a test system in %s: %w", dir, err)
	}
	return s, nil
}

func (s *System) build() error {
	image := filepath.Join(s.Dir, "disk.img")
	if err := createSparse(image, imageSize); err != nil {
		return err
	}
	if err := run("mkfs.btrfs", "--quiet", "--label", "immutray-lab", image); err != nil {
		return err
	}
	device, err := attachLoop(image)
	if err != nil {
		return err
	}
	defer device.Close()
	s.Device = device.Name()
	for _, d := range []string{s.Top, s.Root, s.State} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := s.mount(s.Top, "/"); err != nil {
		return err
	}
	if err := s.createSubvolumes(); err != nil {
		return err
	}
	for _, name := range s.names() {
		if err := s.mount(filepath.Join(s.Root, name), filepath.Join("/ROOTVOL", name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *System) names() []string { return append(append([]string{}, Protected...), Islands...) }

func (s *System) createSubvolumes() error {
	for _, name := range s.names() {
		path := filepath.Join(s.Top, "ROOTVOL", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := CreateSubvolume(path); err != nil {
			return fmt.Errorf("cannot create the subvolume %s: %w", path, err)
		}
	}
	return nil
}

func (s *System) mount(at, subvolume string) error {
	if err := unix.Mount(s.Device, at, "btrfs", 0, "subvol="+subvolume); err != nil {
		return fmt.Errorf("cannot mount %s: %w", at, err)
	}
	s.mounted = append(s.mounted, at)
	return nil
}

// CloseTop makes the mount of the whole file system read-only. While a command of "immutectl
// run" can write, others could write through this mount.
func (s *System) CloseTop() error {
	return unix.MountSetattr(unix.AT_FDCWD, s.Top, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// Protected returns the protected paths of the system.
func (s *System) Protected() []string { return []string{s.Root, s.Etc} }

// IslandPaths returns where the writable islands are mounted.
func (s *System) IslandPaths() []string {
	paths := make([]string, len(Islands))
	for i, name := range Islands {
		paths[i] = filepath.Join(s.Root, name)
	}
	return paths
}

// Close unmounts everything, which frees the loop device.
func (s *System) Close() error {
	var first error
	for i := len(s.mounted) - 1; i >= 0; i-- {
		// Detached, in case that a process of the test still uses it.
		if err := unix.Unmount(s.mounted[i], unix.MNT_DETACH); err != nil && first == nil {
			first = fmt.Errorf("cannot unmount %s: %w", s.mounted[i], err)
		}
	}
	s.mounted = nil
	if err := os.RemoveAll(s.Dir); err != nil && first == nil {
		first = err
	}
	return first
}

func createSparse(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(size)
}

func run(name string, args ...string) error {
	_, err := output(name, args...)
	return err
}

func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
