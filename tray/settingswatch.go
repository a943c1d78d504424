package tray

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/text"
)

// settingsSettle is how long to wait after an event, so that the many that one save causes are
// one reading.
const settingsSettle = 100 * time.Millisecond

// followSettings reads the settings in the file at path, now and after every change, until ctx
// ends. Between changes nothing wakes it.
func followSettings(ctx context.Context, path string, read func(settingsFile)) error {
	for path != "" && ctx.Err() == nil {
		// What changes after this and before the reading is an event.
		w, err := watchSettings(path)
		if err != nil {
			return fmt.Errorf("cannot watch %s: %w", path, text.Because(err))
		}
		read(readSettings(path))
		err = w.wait(ctx)
		w.close()
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("cannot watch %s: %w", path, text.Because(err))
		}
		select {
		case <-time.After(settingsSettle):
		case <-ctx.Done():
		}
	}
	return nil
}

// A settingsWatch waits for one change of a file, whether or not it exists: of its directory
// because editors rename a new file over the old one; of the file because it may be a symbolic
// link; and while there is no directory, of the nearest one above it.
type settingsWatch struct {
	events *os.File
	names  map[int32]string // of each watched directory, the name that counts in it
}

const (
	// ofEntry are the events of a file in its directory. A file that is only opened for
	// writing, or half written, is none.
	ofEntry = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CREATE | unix.IN_DELETE |
		unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	// ofTarget are those of the file itself; to give another file its name is IN_ATTRIB, as
	// this one then has a name less (inotify(7)).
	ofTarget = unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
)

func watchSettings(path string) (*settingsWatch, error) {
	// With IN_NONBLOCK, Go waits for it together with everything else, without a thread.
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &settingsWatch{os.NewFile(uintptr(fd), "inotify"), map[int32]string{}}
	if err := w.add(fd, path); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *settingsWatch) add(fd int, path string) error {
	for name := path; ; name = filepath.Dir(name) {
		dir := filepath.Dir(name)
		wd, err := unix.InotifyAddWatch(fd, dir, ofEntry)
		switch missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR); {
		case missing && dir != name:
			continue
		case err != nil:
			return &os.PathError{Op: "inotify_add_watch", Path: dir, Err: err}
		}
		w.names[int32(wd)] = filepath.Base(name)
		if name == path {
			if target, err := unix.InotifyAddWatch(fd, path, ofTarget); err == nil {
				w.names[int32(target)] = ""
			}
			return nil
		}
		if made, err := os.Stat(name); err == nil && made.IsDir() {
			return w.add(fd, path) // since it was looked for
		}
		return nil
	}
}

// wait waits for a change that may concern the file.
func (w *settingsWatch) wait(ctx context.Context) error {
	defer context.AfterFunc(ctx, w.close)()
	buffer := make([]byte, 16<<10)
	for {
		n, err := w.events.Read(buffer)
		if err != nil {
			return err
		}
		if w.concerns(buffer[:n]) {
			return nil
		}
	}
}

// concerns reports whether one of the events is about the file, or a directory on the way to it.
func (w *settingsWatch) concerns(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		// struct inotify_event: wd, mask, cookie, and the length of the name that follows
		wd, mask := int32(binary.NativeEndian.Uint32(events)), binary.NativeEndian.Uint32(events[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		if end > len(events) {
			return true
		}
		name := string(bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00"))
		if name == "" || mask&unix.IN_Q_OVERFLOW != 0 || name == w.names[wd] {
			return true
		}
		events = events[end:]
	}
	return false
}

func (w *settingsWatch) close() { w.events.Close() }
