package text

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// errTime is what can't be read as a time.
var errTime = errors.New("it is not a time")

// ErrTooLong is a time of more than 292 years, which no [time.Duration] holds.
var ErrTooLong = errors.New("it is too long")

// maxTime is far more than any time needs, in bytes.
const maxTime = 100

// timePart is a number with its unit, which ends where the next number or the text does.
var timePart = regexp.MustCompile(`^([0-9]+(?:\.[0-9]*)?|\.[0-9]+) *([a-zµμ]+) *`)

// ParseDuration reads a time as people write it: "30m", "30 min", "3d", "1h 30m", "1.5 hours".
// It reads whatever [time.ParseDuration] does, and no number without a unit but 0.
func ParseDuration(s string) (time.Duration, error) {
	rest := strings.ToLower(strings.TrimSpace(s))
	if len(s) > maxTime || rest == "" {
		return 0, errTime
	}
	if d, err := time.ParseDuration(rest); err == nil {
		return d, nil
	}
	var sum time.Duration
	for rest != "" {
		part := timePart.FindStringSubmatch(rest)
		if part == nil {
			return 0, errTime
		}
		rest = rest[len(part[0]):]
		unit, times := unitOf(part[2])
		d, err := time.ParseDuration(part[1] + unit)
		switch {
		case unit == "":
			return 0, errTime
		case err != nil || d > math.MaxInt64/times || sum > math.MaxInt64-d*times: // a number that is too large
			return 0, ErrTooLong
		}
		sum += d * times
	}
	return sum, nil
}

// unitOf returns what [time.ParseDuration] calls a unit, and how many of it that is. The unit is
// "" for an unknown one.
func unitOf(name string) (unit string, times time.Duration) {
	switch name {
	case "ns", "us", "µs", "μs", "ms", "s", "m", "h":
		return name, 1
	case "sec", "secs", "second", "seconds":
		return "s", 1
	case "min", "mins", "minute", "minutes":
		return "m", 1
	case "hr", "hrs", "hour", "hours":
		return "h", 1
	case "d", "day", "days":
		return "h", 24
	case "w", "week", "weeks":
		return "h", 7 * 24
	}
	return "", 0
}

// clockTime is "18:00", "6:30 pm" or "6pm".
var clockTime = regexp.MustCompile(`^([0-9]{1,2})(?::([0-9]{2}))? *([ap]\.?m\.?)?$`)

// ParseClock returns the next moment after now at which the clocks of now's time zone show s.
func ParseClock(s string, now time.Time) (time.Time, bool) {
	part := clockTime.FindStringSubmatch(strings.ToLower(strings.TrimSpace(s)))
	if part == nil || part[2] == "" && part[3] == "" {
		return time.Time{}, false
	}
	hour, _ := strconv.Atoi(part[1]) // the pattern lets only digits through
	minute, _ := strconv.Atoi(part[2])
	switch half := part[3]; {
	case hour > 23 || minute > 59:
		return time.Time{}, false
	case half != "" && (hour == 0 || hour > 12):
		return time.Time{}, false
	case half != "":
		hour %= 12
		if half[0] == 'p' {
			hour += 12
		}
	}
	for day := now.Day(); ; day++ {
		if at := time.Date(now.Year(), now.Month(), day, hour, minute, 0, 0, now.Location()); at.After(now) {
			return at, true
		}
	}
}
