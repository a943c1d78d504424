package islands

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
	"immutray.org/helper/protected"
)

// A look is one look at the machine.
type look struct {
	tree    *mount.Tree
	paths   []*protected.Path
	own     map[uint64]mount.Info // the mounts of the protected paths
	allowed []string
	found   Found
}

func (l *look) identify() {
	l.own = make(map[uint64]mount.Info, len(l.paths))
	for _, m := range l.tree.Mounts {
		for _, p := range l.paths {
			if p.MountID == m.ID {
				l.own[m.ID] = m
			}
		}
	}
}

// protects reports whether it is the mount of a protected path.
func (l *look) protects(m mount.Info) bool {
	_, ok := l.own[m.ID]
	return ok
}

// isOurs reports whether a mount is of the file system of a protected path, so that it can be
// looked at.
func (l *look) isOurs(m mount.Info) bool {
	for _, own := range l.own {
		if own.Device == m.Device {
			return true
		}
	}
	return false
}

// A directory is one that was looked for.
type directory struct {
	real   string     // without links, as far as it could be looked at
	mount  mount.Info // that it is on
	device uint64     // stat's st_dev, 0 when it was not looked at
	absent bool       // there is no such directory
}

// maxLinks is the kernel's own limit (path_resolution(7)).
const maxLinks = 40

// directory finds one. A symbolic link is followed: /var/tmp may be one to a place
// that stays writable.
func (l *look) directory(name string) directory {
	for range maxLinks {
		p, target := l.follow(name)
		if target == "" {
			return p
		}
		name = target
	}
	return directory{absent: true}
}

// follow goes along a path, from the last protected path on it. At a link it returns the target.
// For what can't or must not be looked at, the mount table counts.
func (l *look) follow(name string) (found directory, target string) {
	over := l.tree.Over(name)
	found = directory{real: name}
	if len(over) == 0 {
		return found, ""
	}
	found.mount = over[len(over)-1]
	start := -1
	for i, m := range over {
		switch {
		case l.protects(m):
			start = i
		case !l.isOurs(m):
			start = -1
		}
	}
	if start < 0 {
		return found, ""
	}
	fd, err := openMount(over[start].Point, over[start])
	if err != nil {
		return found, ""
	}
	defer func() { unix.Close(fd) }()
	if err := found.stat(fd); err != nil {
		return found, ""
	}
	at := over[start].Point
	for part := range strings.SplitSeq(strings.TrimPrefix(name[len(at):], "/"), "/") {
		if part == "" {
			continue
		}
		at = path.Join(at, part)
		for start+1 < len(over) && over[start+1].Point == at {
			start++
		}
		next, err := openAt(fd, part, over[start])
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return directory{absent: true}, ""
		}
		if err != nil {
			return directory{real: name, mount: found.mount}, ""
		}
		unix.Close(fd)
		fd = next
		if link, ok := readLink(fd); ok {
			if !path.IsAbs(link) {
				link = path.Join(path.Dir(at), link)
			}
			return directory{}, path.Join(link, name[len(at):])
		}
		if err := found.stat(fd); err != nil {
			return directory{real: name, mount: found.mount}, ""
		}
	}
	return found, ""
}

func (p *directory) stat(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	p.device = st.Dev
	return nil
}

// openMount opens the root of a mount.
func openMount(point string, m mount.Info) (int, error) { return openAt(unix.AT_FDCWD, point, m) }

// openAt opens the file name in a directory, or the link itself. It is an error if that is on
// another mount than the table says, which has been mounted meanwhile.
func openAt(dir int, name string, m mount.Info) (int, error) {
	// O_PATH asks no file system, and without O_DIRECTORY triggers no automount (open(2)).
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if id, err := mountID(fd); err != nil || id != m.ID {
		unix.Close(fd)
		return -1, fmt.Errorf("%s is mounted over: %w", name, unix.EXDEV)
	}
	return fd, nil
}

// mountID returns the id of a descriptor's mount (proc_pid_fdinfo(5)). statx(2) has it too, but
// would ask the file system.
func mountID(fd int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		if id, ok := bytes.CutPrefix(line, []byte("mnt_id:")); ok {
			return strconv.ParseUint(string(bytes.TrimSpace(id)), 10, 64)
		}
	}
	return 0, errors.New("fdinfo has no mnt_id")
}

// readLink returns what a link that is open as fd points to (readlinkat(2), "empty string").
func readLink(fd int) (string, bool) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil || n <= 0 {
		return "", false
	}
	return string(buf[:n]), true
}
