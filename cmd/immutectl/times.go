package main

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// A timeFlag is the value of a flag that takes a time as people write it. pflag's own takes
// only Go's spelling, and its errors are Go's.
type timeFlag struct{ to *time.Duration }

func (f timeFlag) Set(s string) (err error) {
	*f.to, err = readTime(s)
	return err
}

func (f timeFlag) String() string { return "" } // no time has a default
func (f timeFlag) Type() string   { return "time" }

// readTime reads a time; a bare number is minutes. One that is too long for a Duration becomes the
// longest, which is out of all bounds.
func readTime(s string) (time.Duration, error) {
	word := strings.TrimSpace(s)
	if word != "" && strings.Trim(word, "0123456789") == "" {
		word += "m"
	}
	d, err := text.ParseDuration(word)
	switch {
	case errors.Is(err, text.ErrTooLong):
		return math.MaxInt64, nil
	case err != nil:
		return 0, fmt.Errorf("cannot read the time %s: write 30m, 2h or 1h30m", helper.QuoteArgument(s))
	}
	return d, nil
}

// checkTime refuses a time that is out of bounds. Name is what has it.
func checkTime(name string, d, least, most time.Duration) error {
	if d < least || d > most {
		return fmt.Errorf("%s must be between %s and %s", name, text.ExactDuration(least), text.ExactDuration(most))
	}
	return nil
}

// readUntil returns how long it is until the clock next shows s.
func readUntil(s string, now time.Time) (time.Duration, error) {
	at, ok := text.ParseClock(s, now.Local())
	if !ok {
		return 0, fmt.Errorf("cannot read the time %s: write 18:00 or 6pm", helper.QuoteArgument(s))
	}
	// Less than a second is a second: 0 would be the default.
	return max(at.Sub(now).Truncate(time.Second), helper.ShortestWindow), nil
}

// completeTimes offers times, and no files.
func completeTimes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return offeredTimes()
}

func offeredTimes() ([]string, cobra.ShellCompDirective) {
	return []string{"15m", "30m", "1h", "2h", "4h"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeClock offers the next full hours.
func (a *app) completeClock(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var hours []string
	next := a.now().Local().Truncate(time.Hour)
	for range 4 {
		next = next.Add(time.Hour)
		hours = append(hours, next.Format("15:00"))
	}
	return hours, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
