// Package detach frees a process of root's from whoever started it: from what it has
// inherited, and from the readers of its output.
package detach

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// FromCaller frees the process from what it has inherited: environment, directory, umask,
// resource limits, signals, session. After an error the process must not do anything as
// root.
//
// What is needed of the environment has to be read before.
func FromCaller() error {
	os.Clearenv()
	unix.Umask(0o077)
	// Ctrl-C and Ctrl-Z on a terminal reach root's processes too, and a reader that closes
	// its pipe must not end this one half-way.
	signal.Ignore(unix.SIGPIPE, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT,
		unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	// A process that leads its process group, as one that a shell has started, can't leave
	// its session (setsid(2), EPERM). It stays there, with the signals above ignored.
	_, _ = unix.Setsid()
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("cannot leave the caller's surroundings: %w", err)
	}
	return setLimits()
}

// A limit is what a resource limit has to be.
type limit struct {
	name     string
	resource int
	least    uint64 // a lower soft limit is raised to it
	most     uint64 // a higher one is lowered
}

func limits() []limit {
	const infinity = unix.RLIM_INFINITY
	return []limit{
		{"RLIMIT_CORE", unix.RLIMIT_CORE, 0, 0},
		{"RLIMIT_FSIZE", unix.RLIMIT_FSIZE, infinity, infinity},
		{"RLIMIT_CPU", unix.RLIMIT_CPU, infinity, infinity},
		{"RLIMIT_AS", unix.RLIMIT_AS, infinity, infinity},
		{"RLIMIT_DATA", unix.RLIMIT_DATA, infinity, infinity},
		{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE, 1024, infinity},
	}
}

// setLimits undoes limits by which a caller could make the process fail half-way. It does
// not set a limit to the value that it has: in Immutray's units even that may be
// forbidden.
func setLimits() error {
	for _, l := range limits() {
		var have unix.Rlimit
		if err := unix.Getrlimit(l.resource, &have); err != nil {
			return fmt.Errorf("cannot read %s: %w", l.name, err)
		}
		want := unix.Rlimit{Cur: min(max(have.Cur, l.least), l.most)}
		want.Max = max(have.Max, want.Cur)
		if want == have {
			continue
		}
		if err := unix.Setrlimit(l.resource, &want); err != nil {
			return fmt.Errorf("cannot set %s: %w", l.name, err)
		}
	}
	return nil
}

// Output replaces standard input, output and error with /dev/null, so that whoever waits
// for the end of the output does not wait for the end of the process.
func Output() error { return discard(0, 1, 2) }

func discard(fds ...int) error {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot leave the caller: open /dev/null: %w", err)
	}
	for _, fd := range fds {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return fmt.Errorf("cannot leave the caller: dup3: %w", err)
		}
	}
	return nil
}
