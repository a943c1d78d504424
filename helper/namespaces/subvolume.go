package namespaces

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
)

// A Subvolume is what mounts are looked for that show it. On a file system other than
// btrfs it is the part of it that a protected path shows.
type Subvolume struct {
	// Superblock is the major:minor in mount tables, Root the path from the file
	// system's root: the same in every namespace.
	Superblock, Root string

	device uint64 // st_dev
	root   int    // its directory on a mount of its own, attached nowhere

	mu     sync.Mutex // guards within
	within map[string]bool
}

// OpenSubvolume returns the one whose directory is open as fd, the root of a mount. It
// must be closed.
func OpenSubvolume(fd int) (*Subvolume, error) {
	at, err := positionOf(fd)
	if err != nil {
		return nil, err
	}
	info, err := mount.Of(fd)
	if err != nil {
		return nil, err
	}
	// Nothing is mounted below in there, and no one else can reach it.
	root, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, fmt.Errorf("open_tree: %w", err)
	}
	return &Subvolume{Superblock: info.Device, Root: info.Root, device: at.device, root: root, within: map[string]bool{}}, nil
}

// OpenHidden returns the one that a mount shows which another one hides. Its root directory
// is open as dir, on a mount where nothing else is mounted. It must be closed.
func OpenHidden(m mount.Info, dir int) (*Subvolume, error) {
	at, err := positionOf(dir)
	if err != nil {
		return nil, err
	}
	root, err := unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("fcntl: %w", err)
	}
	return &Subvolume{Superblock: m.Device, Root: m.Root, device: at.device, root: root, within: map[string]bool{}}, nil
}

// Close releases it.
func (s *Subvolume) Close() { unix.Close(s.root) }

// A Share is how much of a subvolume a mount shows.
type Share int

// The shares.
const (
	None   Share = iota
	Part         // a directory of it
	Whole        // its root
	Around       // a directory above it: with others it shows this one too
)

// shown returns how much of the subvolume a mount shows.
func (s *Subvolume) shown(m mount.Summary) Share {
	switch {
	case m.Device != s.Superblock:
		return None
	case m.Root == s.Root:
		return Whole
	case below(s.Root, m.Root):
		return Around
	case below(m.Root, s.Root) && s.holds(m.Root):
		return Part
	}
	return None
}

// related reports whether a mount with that root may show the subvolume at all.
func (s *Subvolume) related(root string) bool {
	return root == s.Root || below(s.Root, root) || below(root, s.Root)
}

func below(name, dir string) bool {
	return strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// holds reports whether what lies below the subvolume is on it, and not on another one
// that is nested there. A directory that was removed counts: it has no name to ask for.
func (s *Subvolume) holds(root string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if within, known := s.within[root]; known {
		return within
	}
	within := s.lookUp(strings.TrimPrefix(root, strings.TrimSuffix(s.Root, "/")+"/"))
	if len(s.within) < maxRoots {
		s.within[root] = within
	}
	return within
}

// maxRoots bounds how many answers are remembered.
const maxRoots = 4096

func (s *Subvolume) lookUp(name string) bool {
	fd := s.root
	for part := range strings.SplitSeq(path.Clean(name), "/") {
		next, err := unix.Openat(fd, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if fd != s.root {
			unix.Close(fd)
		}
		if err != nil {
			return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
		}
		fd = next
	}
	at, err := positionOf(fd)
	if fd != s.root {
		unix.Close(fd)
	}
	return err != nil || at.device == s.device
}
