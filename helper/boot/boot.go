// Package boot decides whether a boot seals the system, unlocks it, or leaves it as it is.
//
// It seals, unless the kernel command line asks for something else, or a sealed system would
// not come up.
package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"immutray.org/helper"
	"immutray.org/helper/cmdline"
)

// MaxUnfinished is how many sealed boots in a row may fail to come up. The next one is unlocked.
const MaxUnfinished = 3

// Facts are what the decision depends on.
type Facts struct {
	CommandLine []byte // the kernel's
	// UpdateWaits says that the next boot without a target on its command line installs an
	// offline update (systemd.offline-updates(7)).
	UpdateWaits bool
	// Unfinished is how many boots before this one were sealed and did not come up, since the
	// last that did.
	Unfinished int
}

// Decide returns the verb for this boot, "" for none, and why it is not the seal.
func (f Facts) Decide() (verb helper.Verb, why string) {
	target := cmdline.Target(f.CommandLine)
	switch {
	case cmdline.HasWord(f.CommandLine, "rw"):
		return helper.Unseal, "the kernel command line has the word rw"
	case target == cmdline.Rescue, target == cmdline.Emergency:
		return "", "the computer was started in " + strings.TrimSuffix(target, ".target") + " mode"
	case f.UpdateWaits && target == "":
		return helper.Unseal, "an update is waiting to be installed"
	case f.Unfinished >= MaxUnfinished:
		return helper.Unseal, fmt.Sprintf("the last %d boots did not come up", f.Unfinished)
	}
	return helper.Seal, ""
}

// A Machine is where the facts are found.
type Machine struct {
	// Root is the directory of its root file system; without one, no update is looked for.
	Root string
	// Kept is a directory of root's that stays writable and survives a reboot; without one,
	// boots are not counted.
	Kept string
}

// Facts returns the facts of this boot. If the record of earlier boots can't be read, there are
// none: locked is the safe side.
func (m Machine) Facts() (Facts, error) {
	line, err := os.ReadFile(cmdline.Path)
	if err != nil {
		return Facts{}, err
	}
	others, _ := m.unfinished()
	return Facts{CommandLine: line, UpdateWaits: m.UpdateWaits(), Unfinished: len(others)}, nil
}

// UpdateWaits reports whether the next boot installs an offline update. A link that leads nowhere
// counts too (system-update-generator.c in systemd); the second one exists since systemd 255.
func (m Machine) UpdateWaits() bool {
	if m.Root == "" {
		return false
	}
	for _, link := range []string{"system-update", "etc/system-update"} {
		if _, err := os.Lstat(filepath.Join(m.Root, link)); err == nil {
			return true
		}
	}
	return false
}
