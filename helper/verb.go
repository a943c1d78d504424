// Package helper is the contract between Immutray's programs: the verbs that
// root's helper understands, its exit codes, the result it answers with, the
// words for the state of the system, the hints that go with errors, and the
// client that asks the helper through pkexec.
//
// It decides nothing and changes nothing; package engine does the work, package
// server receives the request.
package helper

import (
	"time"

	"immutray.org/helper/config"
)

// A Verb is what root's helper can be asked to do: its first argument, and the
// part of the command line that a polkit action is bound to.
type Verb string

// The verbs of the helper. There are no others: an unknown one is refused.
const (
	Lock   Verb = "lock"   // make every protected path read-only
	Unlock Verb = "unlock" // make every protected path writable
	Seal   Verb = "seal"   // lock at boot, unless the kernel command line has the word rw
	Unseal Verb = "unseal" // unlock at boot, if the kernel command line has the word rw

	// LockForce is Lock, but paths that programs are writing to are closed to
	// everything that is not open yet. Such a program may crash or lose data.
	LockForce Verb = "lock-force"
)

// Verbs lists every verb, in the order usage texts show them.
func Verbs() []Verb { return []Verb{Lock, LockForce, Unlock, Seal, Unseal} }

// AtBoot reports whether the verb is the boot's: no user may ask for it.
func (v Verb) AtBoot() bool { return v == Seal || v == Unseal }

// ParseVerb returns the verb spelled exactly s.
func ParseVerb(s string) (Verb, bool) {
	for _, v := range Verbs() {
		if string(v) == s {
			return v, true
		}
	}
	return "", false
}

// A Request is one call for a verb, and who makes it.
type Request struct {
	Verb Verb `json:"verb"`
	// ID tells this request from every other; the result carries it back.
	ID string `json:"id"`
	// UID is who asked: the user behind pkexec, else root. For the record and
	// for messages only; polkit has decided already.
	UID uint32 `json:"uid"`
	// User is the name of UID, or its number when it has no name.
	User string `json:"user"`
	// For is how long to unlock, and UntilLocked until someone locks. With neither it
	// is the configured time, or what is left of the window if that is more.
	For         time.Duration `json:"for,omitempty"` // in nanoseconds
	UntilLocked bool          `json:"until_locked,omitempty"`
	// Due is a lock that nobody asks for but the end of a window: it does nothing
	// unless a window has ended.
	Due bool `json:"due,omitempty"`
	// AfterRun is the lock at the end of a command of "immutectl run --system-wide".
	AfterRun bool `json:"after_run,omitempty"`
	// Reason is why, in the words of who asks; see [CleanReason]. It may be empty.
	Reason string `json:"reason,omitempty"`
	// On is the occasion of a lock that nobody asks for; "" when somebody does.
	On config.Occasion `json:"on,omitempty"`
	// IgnoreConfig unlocks although the configuration is refused, what is in force instead.
	// It is root's.
	IgnoreConfig bool `json:"ignore_config,omitempty"`
}

// Asks reports whether it is a person's own lock, which asks before it makes more
// read-only than at the last time. The end of a window, a boot, an occasion and a lock by
// force have nobody to ask, or have asked.
func (r Request) Asks() bool { return r.Verb == Lock && !r.Due && !r.AfterRun && r.On == "" }

// arguments is the helper's command line for the request. The verb comes first: it is
// what polkit looks at.
func (r Request) arguments() []string {
	args := []string{string(r.Verb)}
	if r.For != 0 {
		args = append(args, "--for", r.For.String())
	}
	if r.UntilLocked {
		args = append(args, "--until-locked")
	}
	if r.Reason != "" {
		args = append(args, "--reason", r.Reason)
	}
	if r.AfterRun {
		args = append(args, "--after-run")
	}
	if r.IgnoreConfig {
		args = append(args, "--ignore-config")
	}
	return args
}
