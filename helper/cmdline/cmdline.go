// Package cmdline reads the kernel command line: whether the boot is to lock the system,
// to unlock it, or to leave it as it is.
//
// Words are told apart as the kernel does it (next_arg in lib/cmdline.c): blanks
// separate them but not between double quotes, and quotes around a word, or around
// the value after the first =, fall away. There is no escape character. What words
// mean is kernel-command-line(7)'s.
package cmdline

import "strings"

// Path is where the kernel shows its command line.
const Path = "/proc/cmdline"

// SealWanted reports whether a boot with this command line is to be sealed, and if
// not, why.
func SealWanted(data []byte) (wanted bool, why string) {
	if wanted, _ := UnsealWanted(data); wanted {
		return false, "the kernel command line says rw"
	}
	if mode := repairMode(data); mode != "" {
		return false, "the computer was started in " + mode + " mode"
	}
	return true, ""
}

// UnsealWanted reports whether a boot with this command line is to unlock, and if not,
// why. In rescue and emergency mode too: rw is said by whoever sits at the computer.
func UnsealWanted(data []byte) (wanted bool, why string) {
	if HasWord(data, "rw") {
		return true, ""
	}
	return false, "the kernel command line does not say rw"
}

// HasWord reports whether the command line has the word standing alone: neither
// part of another, nor with a value.
func HasWord(data []byte, word string) bool {
	for _, w := range Words(data) {
		if w == word {
			return true
		}
	}
	return false
}

// repairMode returns "rescue" or "emergency" when the system is started to be
// repaired, else "". As for systemd, the last word that names a target counts.
func repairMode(data []byte) string {
	mode := ""
	for _, w := range Words(data) {
		switch w {
		case "emergency", "-b":
			mode = "emergency"
		case "rescue", "single", "-s", "s", "S", "1":
			mode = "rescue"
		case "2", "3", "4", "5":
			mode = ""
		}
		switch unit, ok := strings.CutPrefix(w, "systemd.unit="); {
		case !ok:
		case unit == "emergency.target":
			mode = "emergency"
		case unit == "rescue.target":
			mode = "rescue"
		case strings.Contains(unit, "."):
			mode = ""
		}
	}
	return mode
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
