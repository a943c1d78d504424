// Package cmdline reads the kernel command line.
//
// It separates words as the kernel does (next_arg in lib/cmdline.c): at blanks that are not
// between double quotes. Quotes around a word, or around the value after the first =, are
// removed. There is no escape character. kernel-command-line(7) says what the words mean.
package cmdline

import "strings"

// Path is where the kernel shows its command line.
const Path = "/proc/cmdline"

// HasWord reports whether the command line has the word, without a value and not as a part of
// another.
func HasWord(data []byte, word string) bool {
	for _, w := range Words(data) {
		if w == word {
			return true
		}
	}
	return false
}

// Targets that a system is started in for repairs.
const (
	Rescue    = "rescue.target"
	Emergency = "emergency.target"
)

// Target returns the unit that the command line has systemd start instead of its
// default, "" for none. As for systemd, the last word that names one counts.
func Target(data []byte) string {
	target := ""
	for _, w := range Words(data) {
		switch w {
		case "emergency", "-b":
			target = Emergency
		case "rescue", "single", "-s", "s", "S", "1":
			target = Rescue
		case "2", "3", "4":
			target = "multi-user.target"
		case "5":
			target = "graphical.target"
		}
		if unit, ok := strings.CutPrefix(w, "systemd.unit="); ok && strings.Contains(unit, ".") {
			target = unit
		}
	}
	return target
}

// Words splits a command line.
func Words(data []byte) []string {
	var words []string
	rest := strings.TrimLeft(string(data), blanks)
	for rest != "" {
		var word string
		word, rest = cutWord(rest)
		words = append(words, unquote(word))
		rest = strings.TrimLeft(rest, blanks)
	}
	return words
}

// blanks are C's isspace, and NUL: it ends the command line, as it does the
// kernel's string.
const blanks = " \t\n\v\f\r\x00"

func cutWord(s string) (word, rest string) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(blanks, s[i]) >= 0:
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func unquote(word string) string {
	if inner, ok := strings.CutPrefix(word, `"`); ok {
		return strings.TrimSuffix(inner, `"`)
	}
	name, value, _ := strings.Cut(word, "=")
	if inner, ok := strings.CutPrefix(value, `"`); ok {
		return name + "=" + strings.TrimSuffix(inner, `"`)
	}
	return word
}
