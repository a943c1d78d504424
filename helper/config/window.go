package config

import (
	"errors"
	"fmt"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// UntilLocked, as the length of a window, means that it has no end of its own.
const UntilLocked time.Duration = 0

// shortestSet is the shortest window that the file may set. A shorter one has the wrong unit.
const shortestSet = time.Minute

// ErrTooLong is in the chain of the error for a window that UnlockMax does not allow.
var ErrTooLong = errors.New("longer than unlock_max")

// Allows returns nil when a window of that length may be opened, else an error that
// wraps ErrTooLong.
func (c Config) Allows(length time.Duration) error {
	switch {
	case !exceeds(length, c.UnlockMax):
		return nil
	case length == UntilLocked:
		return &tooLong{fmt.Sprintf("cannot unlock until someone locks: at most %s is allowed", text.ExactDuration(c.UnlockMax))}
	}
	return &tooLong{fmt.Sprintf("cannot unlock for %s: at most %s is allowed", text.ExactDuration(length), text.ExactDuration(c.UnlockMax))}
}

// exceeds reports whether a window is longer than another. Either may have no end.
func exceeds(length, most time.Duration) bool {
	return most != UntilLocked && (length == UntilLocked || length > most)
}

type tooLong struct{ text string }

func (e *tooLong) Error() string { return e.text }
func (e *tooLong) Unwrap() error { return ErrTooLong }

func setWindow(to *time.Duration, v Value) error {
	if word, err := v.Text(); err == nil && word == "until-locked" {
		*to = UntilLocked
		return nil
	}
	word, err := v.Text()
	d, unread := text.ParseDuration(word)
	tooLong := errors.Is(unread, text.ErrTooLong)
	switch {
	case err != nil || unread != nil && !tooLong:
		return errors.New(`it must be a time with its unit in quotes, such as "30m", or "until-locked"`)
	case d < shortestSet || d > helper.LongestWindow || tooLong:
		return fmt.Errorf(`it must be between %s and %s, or "until-locked"`, text.ExactDuration(shortestSet), text.ExactDuration(helper.LongestWindow))
	}
	*to = d
	return nil
}
