package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/bound"
	"immutray.org/helper/config"
	"immutray.org/helper/islands"
	"immutray.org/helper/protected"
	"immutray.org/helper/text"
	"immutray.org/helper/writers"
)

// A blockedError says that a protected path is in use, or may be. Its chain ends with EBUSY if
// the kernel said so.
type blockedError struct {
	path    string
	writers []helper.Writer
	cause   error
}

func (e *blockedError) Error() string {
	known, unknown := certain(e.writers)
	switch {
	case len(known) > 0:
		return fmt.Sprintf("cannot lock %q: it is being written to by %s", e.path, describeSome(known))
	case len(unknown) > 0:
		return fmt.Sprintf("cannot lock %q: %s may be writing to it, and cannot be inspected", e.path, describeSome(unknown))
	}
	var incomplete *writers.IncompleteError
	if errors.As(e.cause, &incomplete) && !errors.Is(e.cause, unix.EBUSY) {
		return fmt.Sprintf("cannot lock %q: something may be writing to it: %v", e.path, text.Because(e.cause))
	}
	return fmt.Sprintf("cannot lock %q: something is writing to it, but no program could be found: %v", e.path, text.Because(e.cause))
}

// certain separates the writers from processes that could not be inspected.
func certain(found []helper.Writer) (known, unknown []helper.Writer) {
	for _, w := range found {
		if w.Kind == helper.WriterUnknown {
			unknown = append(unknown, w)
		} else {
			known = append(known, w)
		}
	}
	return known, unknown
}

func (e *blockedError) Unwrap() error { return e.cause }

// describeSome names the first few writers.
func describeSome(writers []helper.Writer) string {
	const few = 3
	var names []string
	for i, w := range writers {
		if i == few {
			names = append(names, fmt.Sprintf("%d more", len(writers)-i))
			break
		}
		names = append(names, describe(w))
	}
	return strings.Join(names, ", ")
}

func describe(w helper.Writer) string {
	// Errors are not shortened; quoted, a character may take four.
	w = bound.Writer(w, 100)
	switch w.Kind {
	case helper.WriterLoop:
		return fmt.Sprintf("loop device %s (%q)", w.Device, w.Path)
	case helper.WriterSwap:
		return fmt.Sprintf("swap file %q", w.Path)
	case helper.WriterUnknown:
		return fmt.Sprintf("%q (pid %d, user %q)", w.Program, w.PID, w.User)
	}
	return fmt.Sprintf("%q (pid %d, %q)", w.Program, w.PID, w.Path)
}

// A notPreparedError lists the writable islands that a lock would freeze.
type notPreparedError struct{ frozen []islands.Frozen }

func (e *notPreparedError) Error() string {
	names := make([]string, len(e.frozen))
	for i, f := range e.frozen {
		names[i] = f.String()
	}
	return fmt.Sprintf("cannot lock: these would become read-only too: %s", strings.Join(names, ", "))
}

// A packageManagerError names the package manager that runs.
type packageManagerError struct{ busy helper.Busy }

func (e *packageManagerError) Error() string {
	switch {
	case e.busy.PID == 0:
		return fmt.Sprintf("cannot lock: %s is running (%s is taken)", e.busy.Manager, e.busy.Lock)
	case e.busy.Program == "":
		return fmt.Sprintf("cannot lock: %s is running (pid %d)", e.busy.Manager, e.busy.PID)
	}
	return fmt.Sprintf("cannot lock: %s is running: %q (pid %d)", e.busy.Manager, e.busy.Program, e.busy.PID)
}

// failures are several errors of one request, each with its own text.
type failures []error

func (f failures) Error() string {
	texts := make([]string, len(f))
	for i, err := range f {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (f failures) Unwrap() []error { return f }

// join returns the errors that are not nil as failures, or nil if there are none.
func join(errs ...error) error {
	var all failures
	for _, err := range errs {
		if several, ok := err.(failures); ok {
			all = append(all, several...)
		} else if err != nil {
			all = append(all, err)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// fail writes err into the result. Writers may end by themselves, other causes may not: so the
// outcome is Blocked only if there is no other cause.
func fail(result *helper.Result, err error) {
	result.Outcome = helper.Failed
	result.Error, result.Limit = err.Error(), helper.LimitOf(err)
	var island *notPreparedError
	var manager *packageManagerError
	switch {
	case errors.As(err, &island):
		result.Outcome, result.Islands = helper.NotPrepared, islands.Paths(island.frozen)
	case errors.As(err, &manager):
		result.Outcome, result.Busy = helper.PackageManager, &manager.busy
	case errors.Is(err, config.ErrTooLong):
		result.Outcome = helper.TooLong
	case errors.Is(err, config.ErrRefused):
		result.Outcome = helper.ConfigRefused
	case errors.Is(err, protected.ErrUnfit):
		result.Outcome, result.Unfit = helper.ConfigRefused, true
	case onlyBlocked(err):
		result.Outcome = helper.Blocked
	}
	var sending *sendingError
	if errors.As(err, &sending) {
		result.Backup = sending.backup
	}
	for _, e := range each(err) {
		var blocked *blockedError
		if errors.As(e, &blocked) {
			addWriters(result, blocked.writers)
		}
	}
}

// addWriters names the writers. A process that could not be inspected may write to every path,
// and is named once.
func addWriters(result *helper.Result, found []helper.Writer) {
	for _, w := range found {
		if w.Kind != helper.WriterUnknown || !slices.Contains(result.Writers, w) {
			result.Writers = append(result.Writers, w)
		}
	}
}

func onlyBlocked(err error) bool {
	return !slices.ContainsFunc(each(err), func(e error) bool {
		var blocked *blockedError
		return !errors.As(e, &blocked)
	})
}

func each(err error) []error {
	if several, ok := err.(failures); ok {
		return several
	}
	return []error{err}
}
