package notify

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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

// Visible makes a name from outside, of a program, a file or a user, safe to show:
// control characters, line breaks, characters that turn the direction of text and
// bytes that are not UTF-8 become escapes, and of a long one the middle is left out.
// Backslashes stay: the names of systemd units are full of them.
func Visible(s string, most int) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return shorten(b.String(), most)
}

// shorten keeps at most so many characters of s, the last ones before the first:
// of a path, the end says more.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	head := (most - 1) / 3
	return string(r[:head]) + "…" + string(r[len(r)-(most-1-head):])
}

// Sentence makes a sentence of an error's words: it begins with a capital letter and ends
// with a full stop, unless it has an end already.
func Sentence(s string) string {
	s = capital(strings.TrimSpace(s))
	if last, _ := utf8.DecodeLastRuneInString(s); s == "" || strings.ContainsRune(".!?…", last) {
		return s
	}
	return s + "."
}

func capital(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

// list joins words as in speech: "a", "a and b", "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
