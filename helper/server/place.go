package server

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"immutray.org/helper/systemd"
)

// A place is where the work is done.
type place int

const (
	here   place = iota // in this process
	inUnit              // in a unit that PID 1 starts
)

// A machine tells what the place depends on.
type machine interface {
	// systemd reports whether PID 1 is systemd.
	systemd() bool
	// sharesMounts reports whether we are in PID 1's mount namespace.
	sharesMounts() (bool, error)
	// checkRoot refuses a process that is not root; for a user's request it has to be
	// root of the machine and not only of a user namespace.
	checkRoot(forUser bool) error
}

// placeFor decides where a task is done.
//
// The mount flag holds in one mount namespace only. Set in another it would change
// nothing for the machine, and yet be reported as done. So where systemd runs its unit
// does the work, wherever the caller stands. Elsewhere root may mean his own namespace,
// as in a container or a practice system; a user never does.
func (d *desk) placeFor(t task, forUser bool) (place, error) {
	shares, err := d.machine.sharesMounts()
	if err != nil {
		return here, err
	}
	unitsOwn := t.work || t.verb.AtBoot() && d.machine.systemd()
	switch {
	case unitsOwn && !shares:
		return here, errors.New("cannot work in a mount namespace of its own: a setting of the unit (such as PrivateTmp= or ProtectSystem=) gives it one")
	case t.work || t.verb.AtBoot():
		return here, nil
	case d.machine.systemd() && t.config == "":
		return inUnit, nil
	case forUser && !shares:
		return here, errors.New("cannot reach the mounts of this computer from here: it is another mount namespace than that of PID 1")
	}
	return here, nil
}

// kernel is the machine that we run on.
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
