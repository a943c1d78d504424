package journal

import "errors"

// ErrMissing is returned where there is no systemd journal, so that nothing was
// recorded: without systemd, in many containers, and in the practice system.
var ErrMissing = errors.New("there is no systemd journal here")

// ErrNotAllowed is returned to a user who may not read root's records in the journal.
var ErrNotAllowed = errors.New("you are not allowed to read the system journal")
