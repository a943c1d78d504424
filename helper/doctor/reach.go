package doctor

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
)

// A waitingError says that a directory is not looked at: another program or computer
// answers for it, and may never do so. Who waits for a FUSE file system can't even be
// killed once its server has the request (request_wait_answer in fs/fuse/dev.c).
type waitingError struct {
	name  string
	mount mount.Info
}

func (e *waitingError) Error() string {
	return fmt.Sprintf("it is on %s (%s), which may never answer", e.mount.Point, e.mount.Filesystem)
}

// waits reports whether a file system asks another program or computer, or mounts
// something first.
func waits(kind string) bool {
	kind, _, _ = strings.Cut(kind, ".") // fuse.sshfs
	return slices.Contains([]string{
		"9p", "afs", "autofs", "ceph", "cifs", "coda", "fuse", "fuseblk", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "virtiofs",
	}, kind)
}

// resolve returns a path without symbolic links. It asks the mount table before it
// touches anything, and stops before what may never answer.
func (g *gatherer) resolve(name string) (string, error) {
	const maxLinks = 40 // path_resolution(7)
	for range maxLinks {
		real, link, err := g.follow(name)
		if err != nil || link == "" {
			return real, err
		}
		name = link
	}
	return "", fmt.Errorf("readlink %s: %w", name, unix.ELOOP)
}

// follow goes along a path, and returns where it goes on when it meets a link.
func (g *gatherer) follow(name string) (real, link string, err error) {
	at := "/"
	for rest := strings.TrimPrefix(path.Clean(name), "/"); rest != ""; {
		part, after, _ := strings.Cut(rest, "/")
		at, rest = path.Join(at, part), after
		if over := g.tree.Over(at); len(over) > 0 && waits(over[len(over)-1].Filesystem) {
			return "", "", &waitingError{name, over[len(over)-1]}
		}
		target, err := os.Readlink(at)
		switch {
		case errors.Is(err, unix.EINVAL):
			continue // it is none
		case err != nil:
			return "", "", err
		case !path.IsAbs(target):
			target = path.Join(path.Dir(at), target)
		}
		return "", path.Join(target, rest), nil
	}
	return at, "", nil
}

// within runs a step until the timeout. A step that has not ended then is left behind, with
// all that it has found; it works on a copy.
func (g *gatherer) within(what string, checks []string, look func(*gatherer)) {
	if g.Timeout == 0 {
		look(g)
		return
	}
	part := g.copy()
	done := make(chan struct{})
	go func() {
		look(part)
		close(done)
	}()
	select {
	case <-done:
		*g = *part
	case <-time.After(g.Timeout):
		g.abandoned = true
		for _, check := range checks {
			g.unseen(check, "%s: gave up after %v without an answer", what, g.Timeout)
		}
	}
}

// copy returns a gatherer whose lists grow apart from those of g.
func (g *gatherer) copy() *gatherer {
	c := *g
	c.opened = slices.Clip(c.opened)
	c.Paths, c.Facts.Islands, c.Frozen, c.Nested = slices.Clip(c.Paths), slices.Clip(c.Facts.Islands), slices.Clip(c.Frozen), slices.Clip(c.Nested)
	c.Optional = slices.Clip(c.Optional)
	c.Inner, c.Taken, c.Swaps, c.Absent = slices.Clip(c.Inner), slices.Clip(c.Taken), slices.Clip(c.Swaps), slices.Clip(c.Absent)
	c.Facts.Relock, c.Unseen, c.Blind = slices.Clip(c.Facts.Relock), slices.Clip(c.Unseen), slices.Clip(c.Blind)
	return &c
}
