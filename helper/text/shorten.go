package text

import "unicode/utf8"

// Shorten returns s, or its beginning and an ellipsis if it has more than most characters.
func Shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:max(0, most-1)]) + "…"
}

// ShortenName returns s, or its two ends and an ellipsis between them if it has more than
// most characters. The last part is the longer one: the end of a path says more.
func ShortenName(s string, most int) string {
	n := utf8.RuneCountInString(s)
	if n <= most {
		return s
	}
	runes, head := []rune(s), (most-1)/3
	return string(runes[:head]) + "…" + string(runes[n-(most-1-head):])
}
