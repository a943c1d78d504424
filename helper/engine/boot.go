package engine

import (
	"fmt"
	"os"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/cmdline"
	"immutray.org/helper/lockstate"
)

// skippedAtBoot returns what is not done at this boot, and why; "" when the kernel
// command line asks for it, and for the verbs that are not the boot's.
func skippedAtBoot(verb helper.Verb) (string, error) {
	if !verb.AtBoot() {
		return "", nil
	}
	commandLine, err := os.ReadFile(cmdline.Path)
	if err != nil {
		return "", fmt.Errorf("cannot %s: %w", verb, err)
	}
	skipped := "not sealed: "
	wanted, why := cmdline.SealWanted(commandLine)
	if verb == helper.Unseal {
		skipped = "not unlocked: "
		wanted, why = cmdline.UnsealWanted(commandLine)
	}
	if wanted {
		return "", nil
	}
	return skipped + why, nil
}

// skip ends a request for which there is nothing to do. It leaves the state file alone:
// at the same boot the other verb may have written it.
func (e *Engine) skip(result *helper.Result, why string) {
	status := (&lockstate.Reader{Paths: e.Config.Paths, StateDir: e.Config.StateDir}).Read()
	e.nothingDone(result, &status, why)
}

func (e *Engine) nothingDone(result *helper.Result, status *helper.Status, why string) {
	result.Before, result.Status = status, status
	result.Outcome = helper.Done
	result.Notices = append(result.Notices, why)
	result.Finished = time.Now()
	e.logEnd(result, "nothing done")
}
