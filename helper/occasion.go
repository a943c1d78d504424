package helper

import "slices"

// An Occasion is something besides the end of a window after which the system is locked, if
// the configuration says so.
type Occasion string

// The occasions.
const (
	Sleep      Occasion = "sleep"       // the machine is about to sleep
	Logout     Occasion = "logout"      // the last person has logged out
	ScreenLock Occasion = "screen-lock" // the person at the desk has locked the screen
)

// Occasions lists every occasion.
func Occasions() []Occasion { return []Occasion{Sleep, Logout, ScreenLock} }

// ParseOccasion returns the occasion spelled exactly s.
func ParseOccasion(s string) (Occasion, bool) {
	o := Occasion(s)
	return o, slices.Contains(Occasions(), o)
}
