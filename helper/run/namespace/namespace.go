// Package namespace is about the mount namespace of a command of "immutectl run": the runner
// makes it, where the protected paths are writable, and the guardian closes it at the end.
package namespace

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
	"immutray.org/helper/protected"
	"immutray.org/helper/systemd"
)

// Enter moves the calling thread, which must be locked to its goroutine for good, into a
// mount namespace of its own where the protected paths called names are writable. Mounts
// made outside later show in there, those made in there do not show outside. It returns
// where in /proc the namespace is found as long as the thread lives.
func Enter(names []string) (namespace string, err error) {
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
	// closeTimeout is how long Close waits for open files: a process that was killed may
	// need a moment to end.
	closeTimeout = 250 * time.Millisecond
	closeEvery   = 10 * time.Millisecond
)

// Close sets the mount flags in a namespace again, so that processes that were left behind
// in there do not get write access back with the next grant. It returns the paths where
// that fails, because a file is open for writing or for another reason.
func Close(namespace *os.File, names []string) (busy []string) {
	mount.OnOwnThread(func() {
		if enter(namespace) != nil {
			busy = names
			return
		}
		deadline := time.Now().Add(closeTimeout)
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

// OfMachine returns the file in /proc of the mount namespace in which PID 1 has the mounts of
// the machine, "" if this process is in it, or if PID 1 is not systemd.
func OfMachine() string {
	const first = "/proc/1/ns/mnt"
	own, err := os.Readlink("/proc/self/ns/mnt")
	machine, failed := os.Readlink(first)
	if err != nil || failed != nil || own == machine || !systemd.Booted() {
		return ""
	}
	return first
}

// In does work in a mount namespace, named by its file in /proc.
func In(namespace string, work func() error) error {
	f, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer f.Close()
	mount.OnOwnThread(func() {
		if err = enter(f); err == nil {
			err = work()
		}
	})
	return err
}

// enter moves the calling thread into a mount namespace.
func enter(namespace *os.File) error {
	// setns(2) refuses a thread that shares its root directory with others.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}
