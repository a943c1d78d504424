package config

import (
	"fmt"
	"slices"
	"strings"

	"immutray.org/helper"
)

// RelocksOn reports whether an occasion locks the system.
func (c Config) RelocksOn(o helper.Occasion) bool { return slices.Contains(c.RelockOn, o) }

func setOccasions(to *[]helper.Occasion, v Value) error {
	words, err := v.Texts()
	if err != nil {
		return err
	}
	var occasions []helper.Occasion
	for _, word := range words {
		o, ok := helper.ParseOccasion(word)
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
	for _, o := range helper.Occasions() {
		words = append(words, fmt.Sprintf("%q", o))
	}
	return strings.Join(words, ", ")
}
