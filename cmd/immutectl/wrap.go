package main

import (
	"strings"
	"unicode/utf8"
)

// wrap breaks a text between words into lines that are shorter than width, so that the terminal
// adds no empty ones. The first begins in the column begun, the others are indented.
func wrap(words string, begun, width int) string {
	var b strings.Builder
	column := begun
	for i, word := range unbroken(words, width-len(wrapIndent)) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n >= width:
			b.WriteString("\n" + wrapIndent)
			column = len(wrapIndent)
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

const wrapIndent = "  "

// unbroken splits a text at its spaces, but not within quotes, so that a command in them can be
// copied; unless what is between them has as many characters as most.
func unbroken(text string, most int) []string {
	var parts []string
	words := strings.Split(text, " ")
	for len(words) > 0 {
		n := 1
		for n < len(words) && strings.Count(strings.Join(words[:n], " "), `"`)%2 != 0 {
			n++
		}
		part := strings.Join(words[:n], " ")
		if utf8.RuneCountInString(part) >= most || strings.Count(part, `"`)%2 != 0 {
			n, part = 1, words[0]
		}
		parts = append(parts, part)
		words = words[n:]
	}
	return parts
}
