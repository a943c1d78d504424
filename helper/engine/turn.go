package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/statefile"
)

// A line is the directory in which requests wait for their turn: first come, first served,
// and before all others a lock by force, which an administrator has asked for. Each has a
// file there, whose name sorts as they are served, and holds a flock on it as long as it
// lives.
type line struct{ dir string }

const (
	lineName  = "turns"
	urgent    = "0"
	ordinary  = "1"
	lineEvery = 20 * time.Millisecond
)

func openLine(stateDir string) (line, error) {
	l := line{filepath.Join(stateDir, lineName)}
	if err := statefile.MakeDir(stateDir, 0o755); err != nil {
		return l, err
	}
	return l, statefile.MakeDir(l.dir, 0o700)
}

// enter takes a place at the end of those of its rank. Closing the file gives it up.
func (l line) enter(rank string) (place *os.File, err error) {
	fd, err := unix.Open(l.dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: l.dir, Err: err}
	}
	// Nobody sees the file before it is locked.
	if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("flock", err)
	}
	for {
		// Nobody can set that clock; the second number tells apart what came at one moment.
		path := filepath.Join(l.dir, fmt.Sprintf("%s.%020d.%d.%d", rank, bootTime(), os.Getpid(), fd))
		err = unix.Linkat(fd, "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path), nil
		case !errors.Is(err, unix.EEXIST):
			unix.Close(fd)
			return nil, &os.PathError{Op: "link", Path: path, Err: err}
		}
	}
}

// leave gives a place up.
func (l line) leave(place *os.File) {
	os.Remove(place.Name())
	place.Close()
}

// first returns the name of the first that waits, "" when nobody does. What the dead left
// is taken away.
func (l line) first() string {
	entries, _ := os.ReadDir(l.dir) // sorted; what can't be read keeps nobody waiting
	for _, e := range entries {
		if path := filepath.Join(l.dir, e.Name()); isHeld(path) {
			return e.Name()
		}
	}
	return ""
}

// isHeld reports whether who has made the file lives.
func isHeld(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	if errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return true
	}
	os.Remove(path)
	return false
}

// whileNobodyForces returns a context that ends when a lock by force waits: a lock that
// waits for writers then waits no longer. It has to be cancelled.
func (l line) whileNobodyForces(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancel(ctx)
	go func() {
		for sleep(ctx, 100*time.Millisecond) {
			if first := l.first(); len(first) > 0 && first[:1] == urgent {
				end()
			}
		}
	}()
	return ctx, end
}
