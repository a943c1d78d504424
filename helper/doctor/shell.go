package doctor

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// quote returns a word for the shell.
func quote(word string) string {
	plain := word != ""
	for _, c := range []byte(word) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/._-+@:,=", c) >= 0) {
			plain = false
		}
	}
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// pattern returns a basic regular expression that matches this text alone, but for the
// number and kind of its blanks: a tab can't be pasted, as shells complete names with it.
func pattern(text string) string {
	const blank = " \t"
	var b strings.Builder
	for i := range len(text) {
		switch {
		case strings.IndexByte(blank, text[i]) >= 0:
			if i == 0 || strings.IndexByte(blank, text[i-1]) < 0 {
				b.WriteString(`[[:blank:]][[:blank:]]*`)
			}
			continue
		case strings.IndexByte(`\/.*[]^$`, text[i]) >= 0:
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// canBePasted reports whether a terminal hands commands to the shell as they are: a
// control character in a name is shown as an escape, and would be typed as one.
func canBePasted(commands string) bool {
	return utf8.ValidString(commands) && !strings.ContainsFunc(commands, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
}
