package server

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"immutray.org/helper"
	"immutray.org/helper/systemd"
)

// A machine answers what the choice of the process depends on that does the work.
type machine interface {
	// systemd reports whether PID 1 is systemd.
	systemd() bool
	// sharesMounts reports whether this process is in PID 1's mount namespace.
	sharesMounts() (bool, error)
	// checkRoot refuses a process that is not root; for a user's request it has to be
	// root of the machine and not only of a user namespace.
	checkRoot(forUser bool) error
}

// isForUnit reports whether a unit that PID 1 starts does the work, and not this process.
//
// The mount flag holds in one mount namespace only. Set in another it would change nothing
// for the machine, and yet be reported as done. So where systemd is PID 1 its unit does the
// work, whatever namespace the caller is in. Elsewhere root may mean its own namespace, as
// in a container or a practice system; a user never does.
func (s *server) isForUnit(call helper.CommandLine, forUser bool) (bool, error) {
	shares, err := s.machine.sharesMounts()
	if err != nil {
		return false, err
	}
	ofUnit := call.Work || call.Verb.AtBoot() && s.machine.systemd()
	switch {
	case ofUnit && !shares:
		return false, errors.New("cannot work in a mount namespace of its own: a setting of the unit (such as PrivateTmp= or ProtectSystem=) gives it one")
	case call.Work || call.Verb.AtBoot():
		return false, nil
	case s.machine.systemd() && call.Config == "":
		return true, nil
	case forUser && !shares:
		return false, errors.New("cannot reach the mounts of this computer from here: it is another mount namespace than that of PID 1")
	}
	return false, nil
}

// kernel is the machine that this process runs on.
type kernel struct{}

func (kernel) systemd() bool { return systemd.Booted() }

func (kernel) sharesMounts() (bool, error) {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return false, fmt.Errorf("cannot read the mount namespace: %w", err)
	}
	first, err := os.Readlink("/proc/1/ns/mnt")
	if err != nil {
		return false, fmt.Errorf("cannot read the mount namespace of PID 1: %w", err)
	}
	return own == first, nil
}

func (kernel) checkRoot(forUser bool) error {
	if os.Geteuid() != 0 || os.Getuid() != 0 {
		return errors.New("must run as root")
	}
	if !forUser {
		return nil
	}
	uids, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return fmt.Errorf("cannot read the user namespace: %w", err)
	}
	// The machine's own maps every uid to itself (user_namespaces(7)).
	if strings.Join(strings.Fields(string(uids)), " ") != "0 0 4294967295" {
		return errors.New("cannot work in a user namespace: its root is not the root of this computer")
	}
	return nil
}
