// Package islands finds the writable islands that a lock would freeze: directories
// that must stay writable, but are kept on a protected path's own mount or subvolume.
// Debian's installer makes such systems: everything in one subvolume.
//
// The caller may be root at boot, so no file system is asked that may never answer: on the
// network, of a user's own program, of an automount. The mount table says where those are, and
// such a mount is an island in any case. Only directories on the file system of a protected path
// are looked at.
package islands

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"immutray.org/helper/config"
	"immutray.org/helper/mount"
	"immutray.org/helper/protected"
	"immutray.org/helper/text"
)

// A Frozen island would become read-only with the protected paths.
type Frozen struct {
	// Path is the island, or what is mounted below it.
	Path string
	// Why says how it depends on a protected path, such as `a bind mount of "/@/opt"`; "" for a
	// directory on the protected path itself.
	Why string
}

func (f Frozen) String() string {
	if f.Why == "" {
		return f.Path
	}
	return f.Path + " (" + f.Why + ")"
}

// Found are the islands that exist, each list sorted.
type Found struct {
	// Frozen would become read-only with the protected paths.
	Frozen []Frozen
	// Writable are the islands of the configuration that would stay writable.
	Writable []string
}

// Paths returns the paths of islands.
func Paths(all []Frozen) []string {
	var paths []string
	for _, f := range all {
		paths = append(paths, f.Path)
	}
	return paths
}

// Find looks at the islands of the configuration. It leaves out those that do not exist and those
// in allow_readonly.
func Find(cfg config.Config, paths []*protected.Path) (Found, error) {
	mounts, err := mount.List()
	if err != nil {
		return Found{}, err
	}
	l := &look{tree: mount.NewTree(mounts), paths: paths, allowed: cfg.AllowReadonly}
	l.identify()
	for _, name := range cfg.Islands {
		frozen, err := l.island(name)
		if err != nil {
			return Found{}, err
		}
		l.found.Frozen = append(l.found.Frozen, frozen...)
	}
	slices.Sort(l.found.Writable)
	slices.SortFunc(l.found.Frozen, func(a, b Frozen) int { return cmp.Compare(a.Path, b.Path) })
	l.found.Frozen = slices.CompactFunc(l.found.Frozen, func(a, b Frozen) bool { return a.Path == b.Path })
	return l.found, nil
}

// FindOptional does the same for the optional islands.
func FindOptional(cfg config.Config, paths []*protected.Path) (Found, error) {
	cfg.AllowReadonly = slices.Concat(cfg.AllowReadonly, cfg.Islands)
	cfg.Islands = cfg.OptionalIslands
	return Find(cfg, paths)
}

// island looks at one island, and at what is mounted below it.
func (l *look) island(name string) ([]Frozen, error) {
	if slices.Contains(l.allowed, name) {
		return nil, nil
	}
	p := l.directory(name)
	if p.absent {
		return nil, nil
	}
	why, frozen := l.freezes(p)
	switch {
	case !frozen:
		l.found.Writable = append(l.found.Writable, name)
		return l.below(p.real), nil
	case name != config.HomeIsland && name != config.VarIsland || !l.isOurs(p.mount):
		return []Frozen{{name, why}}, nil
	}
	return l.parts(name, p.real)
}

// parts looks at the directories in /home or /var if that is not an island itself. It is on the
// file system of a protected path, which can be read safely.
func (l *look) parts(name, dir string) ([]Frozen, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot look for writable islands: %w", text.Because(err))
	}
	var frozen []Frozen
	for _, e := range entries {
		if !e.IsDir() || l.leftBehind(path.Join(dir, e.Name())) {
			continue
		}
		found, err := l.island(path.Join(name, e.Name()))
		if err != nil {
			return nil, err
		}
		frozen = append(frozen, found...)
	}
	return frozen, nil
}

// leftBehind reports whether a directory is the old NAME.old of an island: doctor's commands
// used to leave it when they gave the island a subvolume and a mount of its own.
func (l *look) leftBehind(dir string) bool {
	name, ok := strings.CutSuffix(dir, ".old")
	return ok && slices.ContainsFunc(l.tree.Mounts, func(m mount.Info) bool { return m.Point == name && l.tree.Shows(m) })
}

// below looks at the mounts below an island, such as a bind mount of a directory of the system.
func (l *look) below(dir string) []Frozen {
	var frozen []Frozen
	for _, m := range l.tree.Mounts {
		if !isBelow(m.Point, dir) || l.isAllowed(m.Point) || l.protects(m) || m.ReadOnly() {
			continue
		}
		if why, ok := l.freezes(directory{real: m.Point, mount: m}); ok && l.tree.Shows(m) {
			frozen = append(frozen, Frozen{m.Point, why})
		}
	}
	return frozen
}

// isAllowed reports whether a mount, or a directory above it, may become read-only.
func (l *look) isAllowed(point string) bool {
	return slices.ContainsFunc(l.allowed, func(dir string) bool { return point == dir || isBelow(point, dir) })
}

func isBelow(name, dir string) bool {
	if dir == "/" {
		return name != dir
	}
	inside, ok := strings.CutPrefix(name, dir)
	return ok && strings.HasPrefix(inside, "/")
}
