package engine

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/islands"
	"immutray.org/helper/protected"
)

// mayFreeze returns an error if a lock would make writable islands read-only that it must not,
// and notes in the result those that it may.
//
// A machine that was never prepared is not locked: all of it would be read-only. On a prepared
// one, a directory that is new (someone's home, after useradd) keeps no window from ending and
// no boot from being sealed: a person's own lock asks first, the others lock and say it.
func (e *Engine) mayFreeze(paths []*protected.Path, result *helper.Result) error {
	found, err := islands.Find(e.Config, paths)
	if err != nil {
		if result.Request.Asks() || !e.wasPrepared(paths, found, result) {
			return err
		}
		result.Notices = append(result.Notices, err.Error())
		return nil
	}
	if len(found.Frozen) == 0 {
		e.rememberPrepared(paths, found, result)
		return nil
	}
	switch {
	case result.Before.State == helper.Locked: // nothing more becomes read-only
		e.rememberPrepared(paths, found, result)
	case result.Request.Asks() || !e.wasPrepared(paths, found, result):
		return &notPreparedError{found.Frozen}
	}
	noteFrozen(found, result)
	return nil
}

// rememberLocked records that a lock of what is locked is allowed: an older version, which kept
// no record, may have locked it.
func (e *Engine) rememberLocked(paths []*protected.Path, result *helper.Result) {
	if result.Before.State != helper.Locked {
		return
	}
	if found, err := islands.Find(e.Config, paths); err == nil {
		e.rememberPrepared(paths, found, result)
	}
}

// rememberPrepared records that a lock is allowed. A failure is no reason not to lock: the file
// may be read-only until the system is unlocked.
func (e *Engine) rememberPrepared(paths []*protected.Path, found islands.Found, result *helper.Result) {
	if e.Prepared == "" {
		return
	}
	record := islands.Record{Writable: found.Writable}
	for _, p := range paths {
		record.Paths = append(record.Paths, p.Name)
	}
	if err := record.Write(e.Prepared); err != nil && !errors.Is(err, unix.EROFS) {
		result.Notices = append(result.Notices, err.Error())
	}
}

// wasPrepared reports whether a lock of these paths was allowed before, except for what is new.
// At boot, an island that was writable then is missing its mount: to freeze it could keep the
// machine from coming up.
func (e *Engine) wasPrepared(paths []*protected.Path, found islands.Found, result *helper.Result) bool {
	if e.Prepared == "" {
		return false
	}
	record, err := islands.ReadRecord(e.Prepared)
	if err != nil {
		result.Notices = append(result.Notices, err.Error())
	}
	if len(record.Paths) == 0 {
		return false
	}
	if result.Request.Verb == helper.Seal {
		lost := func(f islands.Frozen) bool { return slices.Contains(record.Writable, f.Path) }
		if slices.ContainsFunc(found.Frozen, lost) {
			return false
		}
	}
	fresh := slices.DeleteFunc(slices.Clone(paths), func(p *protected.Path) bool { return slices.Contains(record.Paths, p.Name) })
	if len(fresh) == 0 {
		return true
	}
	byFresh, err := islands.Find(e.Config, fresh)
	return err == nil && len(byFresh.Frozen) == 0
}

// noteFrozen names what is read-only together with the system and should not be.
func noteFrozen(found islands.Found, result *helper.Result) {
	result.Islands = islands.Paths(found.Frozen)
	result.Notices = append(result.Notices, islands.Notices(found.Frozen)...)
}

// noteFrozenBy is noteFrozen for paths that are locked again when a command has ended. Without
// an answer it says nothing.
func (e *Engine) noteFrozenBy(paths []*protected.Path, result *helper.Result) {
	if found, err := islands.Find(e.Config, paths); err == nil && len(found.Frozen) > 0 {
		noteFrozen(found, result)
	}
}
