package helper

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// A Request is one call for a verb, and who makes it. From the client to the helper it is a
// command line, see [CommandLine]. From there on it is JSON: in the queue for a unit, in the
// result, in the state file.
type Request struct {
	Verb Verb `json:"verb"`
	// ID is unique; the result has it too.
	ID string `json:"id"`
	// UID is the user who asked: the one behind pkexec, else root. It is for records and
	// messages: polkit has decided already.
	UID uint32 `json:"uid"`
	// User is the name of UID, or its number when it has no name.
	User string `json:"user"`
	// For is how long to unlock, and UntilLocked until someone locks. With neither it
	// is the configured time, or what is left of the window if that is more.
	For         time.Duration `json:"for,omitempty"` // in nanoseconds
	UntilLocked bool          `json:"until_locked,omitempty"`
	// Due is the lock at the end of a window: it does nothing unless a window has ended.
	Due bool `json:"due,omitempty"`
	// AfterRun is the lock at the end of a command of "immutectl run --system-wide".
	AfterRun bool `json:"after_run,omitempty"`
	// Reason is why, in the words of the person who asks; see [CleanReason]. It may be
	// empty.
	Reason string `json:"reason,omitempty"`
	// On is the occasion of a lock that no person asks for; "" for all others.
	On Occasion `json:"on,omitempty"`
	// IgnoreConfig unlocks although the configuration is refused. What is unlocked is what
	// the configuration in force names. Only root may ask for it.
	IgnoreConfig bool `json:"ignore_config,omitempty"`
}

// Asks reports whether it is a person's own lock, which asks before it makes more
// read-only than the last lock did. The end of a window, a boot and an occasion have no
// person to ask, and a lock by force has asked.
func (r Request) Asks() bool { return r.Verb == Lock && !r.Due && !r.AfterRun && r.On == "" }

// NewID returns an ID for a request or a run: 128 random bits.
func NewID() string {
	var id [16]byte
	rand.Read(id[:]) // it never fails
	return hex.EncodeToString(id[:])
}
