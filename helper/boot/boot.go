// Package boot decides what a boot does to the system: seal it, unlock it, or leave it
// as it is.
//
// A boot is sealed, unless whoever sits at the computer asks for something else, or
// being sealed would keep it from coming up.
package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"immutray.org/helper"
	"immutray.org/helper/cmdline"
)

// Patience is how many boots in a row may be sealed and not come up. The next one is
// unlocked.
const Patience = 3

// Facts are what the decision depends on.
type Facts struct {
	CommandLine []byte // the kernel's
	// UpdateWaits says that an offline update is to be installed by the next boot that
	// has no target of its own on the command line (systemd.offline-updates(7)).
	UpdateWaits bool
	// Unfinished is how many boots before this one were sealed and have not come up,
	// since the last that has.
	Unfinished int
}

// Decide returns which of the boot's verbs is to be carried out, "" for none, and why it
// is not the seal.
func (f Facts) Decide() (verb helper.Verb, why string) {
	target := cmdline.Target(f.CommandLine)
	switch {
	case cmdline.HasWord(f.CommandLine, "rw"):
		return helper.Unseal, "the kernel command line has the word rw"
	case target == cmdline.Rescue, target == cmdline.Emergency:
		return "", "the computer was started in " + strings.TrimSuffix(target, ".target") + " mode"
	case f.UpdateWaits && target == "":
		return helper.Unseal, "an update is waiting to be installed"
	case f.Unfinished >= Patience:
		return helper.Unseal, fmt.Sprintf("the last %d boots did not come up", f.Unfinished)
	}
	return helper.Seal, ""
}

// A Machine is where the facts are found.
type Machine struct {
	// Root is the directory of its root file system. "" is none: its updates are not
	// looked for.
	Root string
	// Kept is a directory of root's that stays writable and is kept over boots. "" is
	// none: its boots are not counted.
	Kept string
}

// Facts returns the facts of this boot. Boots before it whose record can't be read are
// taken for none: toward locked is always the safe side.
func (m Machine) Facts() (Facts, error) {
	line, err := os.ReadFile(cmdline.Path)
	if err != nil {
		return Facts{}, err
	}
	others, _ := m.unfinished()
	return Facts{CommandLine: line, UpdateWaits: m.UpdateWaits(), Unfinished: len(others)}, nil
}

// UpdateWaits reports whether an offline update is to be installed by the next boot. The
// links may lead nowhere, and count all the same (system-update-generator.c in systemd);
// the second is looked at since systemd 255.
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
