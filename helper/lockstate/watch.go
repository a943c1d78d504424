package lockstate

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

const (
	// recheckEvery is how often the property is read again: the kernel has no event for a
	// change to it. A change made by hand must show within 10 s, even on a busy machine, but
	// the machine must be woken less than 12 times a minute.
	recheckEvery = 6 * time.Second
	// settle is how long to wait after a reading, so that many mounts do not cause as many
	// readings. The first event is acted on at once.
	settle = 200 * time.Millisecond
)

// Watch calls changed with the state now, and again with every new state, until ctx
// ends; changed is called on Watch's goroutine. The error is nil when ctx ended it.
func (r *Reader) Watch(ctx context.Context, changed func(helper.Status)) error {
	return r.watch(ctx, recheckEvery, changed)
}

func (r *Reader) watch(ctx context.Context, every time.Duration, changed func(helper.Status)) error {
	w, err := newWaker(r.StateDir)
	if err != nil {
		return fmt.Errorf("cannot watch the state: %w", text.Because(err))
	}
	defer w.close()
	stop := context.AfterFunc(ctx, w.stop)
	// The descriptor must stay open until the callback has ended.
	defer func() {
		if !stop() {
			<-w.stopped
		}
	}()

	last := r.Read()
	changed(last)
	for {
		event, err := w.wait(every)
		if err != nil {
			return fmt.Errorf("cannot watch the state: %w", text.Because(err))
		}
		if ctx.Err() != nil {
			return nil
		}
		if status := r.Read(); !reflect.DeepEqual(status, last) {
			last = status
			changed(status)
		}
		if event == mountsChanged {
			if err := w.pause(settle); err != nil {
				return fmt.Errorf("cannot watch the state: %w", text.Because(err))
			}
		}
	}
}

// An event is what ended a wait.
type event int

const (
	timePassed event = iota
	mountsChanged
	stateFileChanged
	stopAsked
)

// A waker waits, in one poll(2), for everything that may change the state.
type waker struct {
	stateDir string
	mounts   int // /proc/self/mountinfo: POLLPRI on every change of the mount table, proc_pid_mounts(5)
	files    int // inotify on the state directory
	stopping int // eventfd
	stopped  chan struct{}
}

func newWaker(stateDir string) (*waker, error) {
	w := &waker{stateDir: stateDir, mounts: -1, files: -1, stopping: -1, stopped: make(chan struct{})}
	var err error
	if w.mounts, err = unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open /proc/self/mountinfo: %w", err)
	}
	if w.stopping, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		w.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if w.files, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		w.close()
		return nil, fmt.Errorf("inotify_init1: %w", err)
	}
	w.watchStateDir()
	return w, nil
}

// watchStateDir watches the state directory, or its parent while it does not exist. If that fails,
// the state is still read every few seconds.
func (w *waker) watchStateDir() {
	const ofDirectory = unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(w.files, w.stateDir, ofDirectory); err == nil {
		return
	}
	const ofParent = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ONLYDIR
	unix.InotifyAddWatch(w.files, filepath.Dir(w.stateDir), ofParent)
}

// stop makes the wait, and all that follow, return at once.
func (w *waker) stop() {
	unix.Write(w.stopping, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	close(w.stopped)
}

func (w *waker) close() {
	for _, fd := range []int{w.mounts, w.files, w.stopping} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// wait returns when something may have changed, at the latest after the given time.
func (w *waker) wait(atMost time.Duration) (event, error) {
	fds := []unix.PollFd{
		{Fd: int32(w.stopping), Events: unix.POLLIN},
		{Fd: int32(w.files), Events: unix.POLLIN},
		{Fd: int32(w.mounts), Events: unix.POLLPRI},
	}
	if err := poll(fds, atMost); err != nil {
		return timePassed, err
	}
	switch {
	case fds[0].Revents != 0:
		return stopAsked, nil
	case fds[1].Revents != 0:
		w.drainFiles()
		return stateFileChanged, nil
	case fds[2].Revents != 0:
		return mountsChanged, nil
	}
	return timePassed, nil
}

// pause waits for the given time. A change to the state file and stop end it early, a change to
// the mounts does not.
func (w *waker) pause(d time.Duration) error {
	return poll([]unix.PollFd{
		{Fd: int32(w.stopping), Events: unix.POLLIN},
		{Fd: int32(w.files), Events: unix.POLLIN},
	}, d)
}

// poll is poll(2). A signal ends it early, as if something had happened: one reading too many is
// cheap.
func poll(fds []unix.PollFd, atMost time.Duration) error {
	if _, err := unix.Poll(fds, int(atMost.Milliseconds())); err != nil && err != unix.EINTR {
		return fmt.Errorf("poll: %w", err)
	}
	return nil
}

// drainFiles empties the inotify queue, whatever the events are, and looks for the state directory
// again: it may have been created or removed.
func (w *waker) drainFiles() {
	buffer := make([]byte, 4096)
	for {
		if n, err := unix.Read(w.files, buffer); n <= 0 || err != nil {
			break
		}
	}
	w.watchStateDir()
}
