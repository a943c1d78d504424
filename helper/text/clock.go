package text

import (
	"slices"
	"strings"
	"time"
)

// A Clock shows the time of day as a person's locale does. The zero value has 24 hours.
//
// The C library's locales can't be read without cgo, so a Clock knows from the name of the locale
// alone whether its clocks have 12 hours. The words stay English, as all of ours are.
type Clock struct{ Twelve bool }

// ClockFor returns the clock of the locale that the environment names, as locale(7) has it.
func ClockFor(getenv func(string) string) Clock {
	locale := ""
	for _, name := range []string{"LC_ALL", "LC_TIME", "LANG"} {
		if locale = getenv(name); locale != "" {
			break
		}
	}
	locale, _, _ = strings.Cut(locale, ".")
	locale, _, _ = strings.Cut(locale, "@")
	return Clock{Twelve: slices.Contains(twelveHours(), locale)}
}

// twelveHours are the locales of glibc whose times of day have AM and PM in Latin letters (%r or
// %I in its localedata).
func twelveHours() []string {
	return []string{
		"en_AU", "en_CA", "en_HK", "en_IN", "en_NZ", "en_PH", "en_SG", "en_US",
		"es_PR", "es_US", "fil_PH", "tl_PH",
	}
}

// TimeOfDay returns "14:30" or "2:30 PM".
func (c Clock) TimeOfDay(t time.Time) string { return t.Format(c.layout()) }

// Minute returns the date as well, in local time: "2026-11-30 14:30".
func (c Clock) Minute(t time.Time) string { return t.Local().Format(time.DateOnly + " " + c.layout()) }

func (c Clock) layout() string {
	if c.Twelve {
		return "3:04 PM"
	}
	return "15:04"
}
