package text

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Visible returns s with escapes, as in a Go string, in place of everything that would not
// be seen as it is: control characters, line breaks, invisible characters, those that turn
// the direction of writing, and bytes that are not UTF-8. Backslashes stay: the names of
// systemd units are full of them.
func Visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if isVisible(r, size) {
			b.WriteString(s[i : i+size])
		} else {
			escaped := strconv.Quote(s[i : i+size])
			b.WriteString(escaped[1 : len(escaped)-1])
		}
		i += size
	}
	return b.String()
}

// Name returns a name from outside, such as that of a program, a file or a user, as it can be
// shown: visible, and with at most so many characters of it.
func Name(s string, most int) string { return ShortenName(Visible(s), most) }

// isVisible reports whether a character of that many bytes can be shown as it is. A byte
// that is not UTF-8 is decoded as U+FFFD too, but that character itself has three bytes.
func isVisible(r rune, size int) bool {
	return strconv.IsPrint(r) && (r != utf8.RuneError || size > 1)
}

// Quote returns s as it is, or as a Go string if it would not be recognized as one word: it
// is empty, or holds a blank, a quotation mark or what [Visible] escapes.
func Quote(s string) string {
	if s == "" || strings.ContainsAny(s, ` "`) || Visible(s) != s {
		return strconv.Quote(s)
	}
	return s
}

// CommandLine returns a command line in one line of at most so many characters. Its words
// can be told apart, see [Quote].
func CommandLine(words []string, most int) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = Quote(word)
	}
	return Shorten(strings.Join(quoted, " "), most)
}

// FirstLine returns the first line of what another program printed that is not blank, with
// nothing invisible in it and at most so many characters of it.
func FirstLine(s string, most int) string {
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			return Shorten(Visible(line), most)
		}
	}
	return ""
}
