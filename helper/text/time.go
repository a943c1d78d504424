package text

import (
	"fmt"
	"strings"
	"time"
)

// Duration says d in words, as exactly as a person wants it: "23 min", "2 h 5 min",
// "1 day 12 h", "3 days".
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return "less than 1 min"
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < day:
		return twoUnits(int(d/time.Hour), "h", int(d%time.Hour/time.Minute), "min")
	case d < 2*day:
		return twoUnits(1, "day", int(d%day/time.Hour), "h")
	}
	return fmt.Sprintf("%d days", d/day)
}

func twoUnits(n int, unit string, m int, smaller string) string {
	if m == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %d %s", n, unit, m, smaller)
}

// SpokenDuration says d for a button: "1 hour", "30 minutes", "1 h 30 min", "1 day".
func SpokenDuration(d time.Duration) string {
	switch {
	case d == time.Hour:
		return "1 hour"
	case d > 0 && d < 24*time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d == time.Minute:
		return "1 minute"
	case d > 0 && d < time.Hour && d%time.Minute == 0:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return Duration(d)
}

// ExactDuration writes d as flags and the configuration take it: 10m, where String writes
// 10m0s.
func ExactDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// TimeOfDay says when t is, or was, to somebody for whom it is now: "14:30", with
// the weekday when that is not today, with the date when it is a week away or more.
// The time zone is that of now.
func TimeOfDay(t, now time.Time) string {
	t = t.In(now.Location())
	switch days := daysBetween(now, t); {
	case days == 0:
		return t.Format("15:04")
	case days > -7 && days < 7:
		return t.Format("Mon 15:04")
	case t.Year() == now.Year():
		return t.Format("2 Jan 15:04")
	}
	return t.Format("2 Jan 2006 15:04")
}

// daysBetween counts midnights. The days are laid out in UTC, where each has 24
// hours; in local time two a year have not.
func daysBetween(from, to time.Time) int {
	midnight := func(t time.Time) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	}
	return int(midnight(to).Sub(midnight(from)) / (24 * time.Hour))
}
