package config

import (
	"fmt"
	"slices"
	"strings"
)

// An Occasion is something after which a system that was left unlocked is locked again,
// if the configuration says so.
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

// RelocksOn reports whether the system is to be locked on an occasion.
func (c Config) RelocksOn(o Occasion) bool { return slices.Contains(c.RelockOn, o) }

func setOccasions(to *[]Occasion, v Value) error {
	words, err := v.Texts()
	if err != nil {
		return err
	}
	var occasions []Occasion
	for _, word := range words {
		o, ok := ParseOccasion(word)
		switch {
		case !ok:
			return fmt.Errorf("%q is not one of %s", word, knownOccasions())
		case slices.Contains(occasions, o):
			return fmt.Errorf("%q is listed twice", word)
		}
		occasions = append(occasions, o)
	}
	*to = occasions
	return nil
}

func knownOccasions() string {
	var words []string
	for _, o := range Occasions() {
		words = append(words, fmt.Sprintf("%q", o))
	}
	return strings.Join(words, ", ")
}
