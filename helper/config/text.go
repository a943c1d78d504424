package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// text reads a basic string "…" or a literal string '…'.
func (p *parser) text() (string, error) {
	quote := p.rest[:1]
	if strings.HasPrefix(p.rest, strings.Repeat(quote, 3)) {
		return "", p.errorf("texts over several lines (%s) are not used here; write the text in one line", strings.Repeat(quote, 3))
	}
	p.eat(quote)
	var b strings.Builder
	for p.rest != "" && p.rest[0] != '\n' && p.rest[0] != '\r' {
		switch {
		case p.eat(quote):
			return b.String(), nil
		case quote == `"` && p.eat(`\`):
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			_, size := utf8.DecodeRuneInString(p.rest)
			b.WriteString(p.rest[:size])
			p.rest = p.rest[size:]
		}
	}
	return "", p.errorf("the closing %s is missing", quote)
}

// escapes are TOML's, but \u and \U.
const escapes = "b\bt\tn\nf\fr\r\"\"\\\\"

// escape reads what follows a backslash.
func (p *parser) escape() (rune, error) {
	if p.rest == "" || p.rest[0] == '\n' || p.rest[0] == '\r' {
		return 0, p.errorf("a text can't go on in the next line")
	}
	c := p.rest[0]
	for i := 0; i < len(escapes); i += 2 {
		if escapes[i] == c {
			p.rest = p.rest[1:]
			return rune(escapes[i+1]), nil
		}
	}
	size := map[byte]int{'u': 4, 'U': 8}[c]
	if size == 0 {
		return 0, p.errorf(`unknown escape \%s in "…"; write '…' for a text with backslashes`, p.next())
	}
	return p.codePoint(size)
}

// codePoint reads \uXXXX or \UXXXXXXXX after its backslash.
func (p *parser) codePoint(size int) (rune, error) {
	if len(p.rest) < 1+size {
		return 0, p.errorf(`\%c needs %d hexadecimal digits`, p.rest[0], size)
	}
	digits := p.rest[1 : 1+size]
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil {
		return 0, p.errorf(`\%c needs %d hexadecimal digits`, p.rest[0], size)
	}
	// A NUL is valid TOML, but no path and no word of ours can hold one.
	if n == 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, p.errorf(`\%c%s is no character that can stand in a text here`, p.rest[0], digits)
	}
	p.rest = p.rest[1+size:]
	return rune(n), nil
}
