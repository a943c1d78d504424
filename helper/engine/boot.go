package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/protected"
	"immutray.org/helper/text"
)

// atBoot returns why nothing is done at this boot; "" if this boot is for that verb, and for
// verbs that are not the boot's. For an unseal it notes in the request why the system is
// unlocked.
func (e *Engine) atBoot(request *helper.Request) (skipped string, err error) {
	if !request.Verb.AtBoot() {
		return "", nil
	}
	facts, err := e.Boot.Facts()
	if err != nil {
		return "", fmt.Errorf("cannot %s: %w", request.Verb, text.Because(err))
	}
	verb, why := facts.Decide()
	switch {
	case verb == request.Verb:
		request.Reason = why
		return "", nil
	case request.Verb == helper.Seal:
		return "not sealed: " + why, nil
	}
	return "not unlocked: this boot is not meant to come up unlocked", nil
}

// nothingToUnlock reports whether err says that the paths can't be protected here while none of
// them is read-only: the machine is not set up. Every offline update asks for an unlock.
func (e *Engine) nothingToUnlock(err error) bool {
	locked := func(p helper.PathStatus) bool { return p.State != helper.Unlocked && p.State != helper.Unknown }
	return errors.Is(err, protected.ErrUnfit) && !slices.ContainsFunc(lockstate.ReadPaths(e.Config.Paths).Paths, locked)
}

// countBoot records a boot that is about to be sealed, until it has come up. If that fails, it
// is sealed all the same.
func (e *Engine) countBoot(paths []*protected.Path, result *helper.Result) {
	devices := make([]uint64, len(paths))
	for i, p := range paths {
		devices[i] = p.Device
	}
	if err := e.Boot.Begin(devices); err != nil {
		result.Notices = append(result.Notices, err.Error())
	}
}

// tellOfUpdate adds to the result of a lock that the next boot will undo it.
func (e *Engine) tellOfUpdate(result *helper.Result) {
	if result.Request.Verb != helper.Unlock && !result.Request.Verb.AtBoot() && e.Boot.UpdateWaits() {
		result.Notices = append(result.Notices, "the next boot will come up unlocked: an update is waiting to be installed")
	}
}

// skip ends a request for which there is nothing to do. It does not change the state file: at
// the same boot the other verb may have written it.
func (e *Engine) skip(result *helper.Result, why string) {
	status := lockstate.For(e.Config).Read()
	e.nothingDone(result, &status, why)
}

func (e *Engine) nothingDone(result *helper.Result, status *helper.Status, why string) {
	result.Before, result.Status = status, status
	result.Outcome = helper.Done
	result.Notices = append(result.Notices, why)
	result.Finished = time.Now()
	e.logEnd(result, "nothing done")
}
