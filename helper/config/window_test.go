package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

func TestAllows(t *testing.T) {
	for _, test := range []struct {
		most, length time.Duration
		want         string
	}{
		{UntilLocked, UntilLocked, ""},
		{UntilLocked, helper.LongestWindow, ""},
		{time.Hour, time.Hour, ""},
		{time.Hour, time.Second, ""},
		{time.Hour, time.Hour + time.Second, "cannot unlock for 1h0m1s: at most 1h is allowed"},
		{90 * time.Minute, 3 * time.Hour, "cannot unlock for 3h: at most 1h30m is allowed"},
		{time.Hour, UntilLocked, "cannot unlock until someone locks: at most 1h is allowed"},
	} {
		err := Config{UnlockMax: test.most}.Allows(test.length)
		if got := errors.Is(err, ErrTooLong); got != (test.want != "") || got && err.Error() != test.want {
			t.Errorf("at most %v: Allows(%v) = %v, want %q", test.most, test.length, err, test.want)
		}
	}
}

// Who lowers the one need not know of the other.
func TestTheDefaultIsNeverAboveTheMost(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"":                                         time.Hour,
		`unlock_max = "30m"`:                       30 * time.Minute,
		`unlock_max = "4h"`:                        time.Hour,
		`unlock_default = "4h"`:                    4 * time.Hour,
		"unlock_max='4h'\nunlock_default='4h'":     4 * time.Hour,
		`unlock_default = "until-locked"`:          UntilLocked,
		`unlock_default = "1h 30 min"`:             90 * time.Minute,
		`unlock_default = "3d"`:                    72 * time.Hour,
		"unlock_max='30m'\nunlock_default='1m30s'": 90 * time.Second,
	} {
		c, err := Parse(strings.NewReader(text))
		if err != nil || c.UnlockDefault != want {
			t.Errorf("%q: unlock_default = %v, %v, want %v", text, c.UnlockDefault, err, want)
		}
	}
}
