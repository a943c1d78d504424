package main

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// quote returns a name out of the file system or a process as it can be shown: as
// it is, or as a Go string when it holds something that a terminal would act on,
// or that would make it look like something else than one name.
func quote(name string) string {
	needed := name == ""
	for i, r := range name {
		if r == ' ' || r == '"' || !printable(r, name[i:]) {
			needed = true
		}
	}
	if needed {
		return strconv.Quote(name)
	}
	return name
}

// safe returns a message with everything that a terminal would act on written as an
// escape: names of files and programs get into messages, and anyone may choose those.
func safe(message string) string {
	var b strings.Builder
	for i, r := range message {
		if printable(r, message[i:]) {
			b.WriteRune(r)
			continue
		}
		_, size := utf8.DecodeRuneInString(message[i:])
		escaped := strconv.Quote(message[i : i+size])
		b.WriteString(escaped[1 : len(escaped)-1])
	}
	return b.String()
}

// printable reports whether r, the first rune of rest, can be shown as it is. It is
// false for control characters, invisible ones, those that turn the direction of
// writing, and bytes that are not UTF-8.
func printable(r rune, rest string) bool {
	if r == utf8.RuneError {
		_, size := utf8.DecodeRuneInString(rest)
		return size > 1
	}
	return strconv.IsPrint(r)
}
