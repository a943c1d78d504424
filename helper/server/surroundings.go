package server

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// pkexecVariable is the one variable of the environment that means anything.
const pkexecVariable = "PKEXEC_UID"

// leaveCaller frees the process from what it inherited: environment, directory,
// umask, limits, signals, session. It returns PKEXEC_UID, nil when that is not set,
// and what could not be done: then nothing else may be.
func leaveCaller() (pkexecUID *string, err error) {
	if value, ok := os.LookupEnv(pkexecVariable); ok {
		pkexecUID = &value
	}
	os.Clearenv()
	unix.Umask(0o077)
	// A tty's Ctrl-C and Ctrl-Z reach root's processes too, and a reader who is gone
	// must not end us half-way.
	signal.Ignore(unix.SIGPIPE, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT,
		unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	// A process that leads its group can't leave it (setsid(2), EPERM): one that a
	// shell started. It stays, with the signals above ignored.
	_, _ = unix.Setsid()
	if err := os.Chdir("/"); err != nil {
		return pkexecUID, fmt.Errorf("cannot leave the caller's surroundings: %w", err)
	}
	return pkexecUID, setLimits()
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

// setLimits undoes limits by which a caller could make us fail half-way. One that is
// right already is left alone: in our units the call itself may be forbidden.
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
