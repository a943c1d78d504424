package scoped

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
	"immutray.org/helper/protected"
)

// enter moves the calling thread, which must be locked to its goroutine for good, into a
// mount namespace of its own where the protected paths called names are writable. Mounts
// made outside later show in there, those made in there do not show outside. It returns
// where in /proc the namespace is found as long as the thread lives.
func enter(names []string) (namespace string, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return "", fmt.Errorf("cannot make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return "", fmt.Errorf("cannot separate the mounts: %w", err)
	}
	for _, name := range names {
		if err := setReadOnly(name, false); err != nil {
			return "", fmt.Errorf("cannot make %q writable: %w", name, err)
		}
	}
	return fmt.Sprintf("/proc/%d/task/%d/ns/mnt", os.Getpid(), unix.Gettid()), nil
}

// setReadOnly sets or clears the mount flag in the namespace of the calling thread.
func setReadOnly(name string, readOnly bool) error {
	p, err := protected.Open(name)
	if err != nil {
		return err
	}
	defer p.Close()
	return p.SetMountReadOnly(readOnly)
}

const (
	// closePatience is how long a namespace may take to fall quiet: a process that was
	// killed may need a moment to end.
	closePatience = 250 * time.Millisecond
	closeEvery    = 10 * time.Millisecond
)

// closeNamespace sets the mount flags in a namespace again, so that what was left behind
// in there does not get write access back with the next loan. It returns the paths where
// that can't be, because something has a file open for writing, or for another reason.
func closeNamespace(namespace *os.File, names []string) (busy []string) {
	mount.OnOwnThread(func() {
		if enterNamespace(namespace) != nil {
			busy = names
			return
		}
		deadline := time.Now().Add(closePatience)
		for _, name := range names {
			err := setReadOnly(name, true)
			for errors.Is(err, unix.EBUSY) && time.Now().Before(deadline) {
				time.Sleep(closeEvery)
				err = setReadOnly(name, true)
			}
			if err != nil {
				busy = append(busy, name)
			}
		}
	})
	return busy
}

// enterNamespace moves the calling thread into a mount namespace.
func enterNamespace(namespace *os.File) error {
	// setns(2) refuses a thread that shares its root directory with others.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}
