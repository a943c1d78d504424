// Package islands finds the writable islands that a lock would freeze: directories
// that must stay writable, but lie on a protected path's own mount or subvolume.
// Debian's installer makes such systems: everything in one subvolume.
package islands

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"immutray.org/helper/config"
	"immutray.org/helper/protected"
)

// Frozen returns the islands of the configuration that would become read-only with
// the protected paths, sorted. Islands that do not exist, and those the
// configuration allows to be read-only, are left out.
func Frozen(cfg config.Config, paths []*protected.Path) ([]string, error) {
	var frozen []string
	for _, island := range cfg.Islands {
		if slices.Contains(cfg.AllowReadonly, island) {
			continue
		}
		found, err := frozenAt(cfg, island, paths)
		if err != nil {
			return nil, err
		}
		frozen = append(frozen, found...)
	}
	slices.Sort(frozen)
	return slices.Compact(frozen), nil
}

func frozenAt(cfg config.Config, island string, paths []*protected.Path) ([]string, error) {
	freezes, err := freezes(island, paths)
	if err != nil || !freezes {
		return nil, err
	}
	if island != config.HomeIsland {
		return []string{island}, nil
	}
	return frozenHomes(cfg, paths)
}

// frozenHomes looks at each person's home, for a /home that is not an island itself.
func frozenHomes(cfg config.Config, paths []*protected.Path) ([]string, error) {
	entries, err := os.ReadDir(config.HomeIsland)
	if err != nil {
		return nil, fmt.Errorf("cannot look for writable islands: %w", err)
	}
	var frozen []string
	for _, e := range entries {
		home := filepath.Join(config.HomeIsland, e.Name())
		if !e.IsDir() || slices.Contains(cfg.AllowReadonly, home) {
			continue
		}
		freezes, err := freezes(home, paths)
		if err != nil {
			return nil, err
		}
		if freezes {
			frozen = append(frozen, home)
		}
	}
	return frozen, nil
}

// freezes reports whether a directory shares its mount with a protected path, so that
// the mount flag would cover it, or its subvolume, so that the property would.
//
// A symbolic link is followed: /var/tmp may be one to a place that stays writable.
func freezes(directory string, paths []*protected.Path) (bool, error) {
	var st unix.Statx_t
	// An automount is an island as it stands. To trigger it could make the seal wait for
	// a network that comes up only after it.
	const flags = unix.AT_STATX_DONT_SYNC | unix.AT_NO_AUTOMOUNT
	err := unix.Statx(unix.AT_FDCWD, directory, flags, unix.STATX_TYPE|unix.STATX_MNT_ID, &st)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look for writable islands: statx %q: %w", directory, err)
	}
	device := unix.Mkdev(st.Dev_major, st.Dev_minor)
	return slices.ContainsFunc(paths, func(p *protected.Path) bool {
		return p.MountID == st.Mnt_id || p.Device == device
	}), nil
}
