// Package helper is the contract between Immutray's programs: the verbs that
// root's helper understands, the request and the result, the states of the system,
// exit codes and limits. It imports nothing of Immutray's.
//
// Package client makes requests, package server receives them, package engine does the
// work.
package helper

// A Verb is what root's helper can be asked to do. It is the first argument, to which the polkit
// actions are bound.
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

// Verbs lists every verb, in the order of usage texts.
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
