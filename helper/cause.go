package helper

// A Cause is the origin of a request: a person, or a part of the system. The cause of the lock
// that ends a window says how the window ended.
type Cause string

// The causes. The journal has them in IMMUTRAY_CAUSE; others may be added.
const (
	ByPerson Cause = "person" // a person asked
	ByTimer  Cause = "timer"  // the time of the window was over
	BySeal   Cause = "seal"   // the boot
	ByUnseal Cause = "unseal" // the boot, by the word rw on the kernel command line

	BySleep  = Cause(Sleep)
	ByLogout = Cause(Logout)
)

// Cause returns the cause of the request.
func (r Request) Cause() Cause {
	switch {
	case r.Verb == Seal:
		return BySeal
	case r.Verb == Unseal:
		return ByUnseal
	case r.Due:
		return ByTimer
	case r.On != "":
		return Cause(r.On)
	}
	return ByPerson
}
