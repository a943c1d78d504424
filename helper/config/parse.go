package config

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxSize is far more than any configuration needs; what is larger is not one.
const maxSize = 64 << 10

// allowed is what every refusal of a TOML feature names instead.
const allowed = `a value is "text", a whole number, true, false, or a list of texts such as ["/", "/etc"]`

// A Table is the content of a configuration file: keys with their values, in the
// order of the file, every key once.
//
//	# a comment
//	drain = "5s"
//	paths = [
//	    "/",     # basic string with TOML's escapes
//	    '/etc',  # literal string
//	]
type Table struct{ entries []entry }

type entry struct {
	key   string
	line  int
	value Value
}

// ParseTable reads a table. It accepts a subset of TOML 1.0 and refuses the rest,
// with the line and what is allowed there.
func ParseTable(r io.Reader) (Table, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return Table{}, err
	}
	if len(data) > maxSize {
		return Table{}, fmt.Errorf("it is larger than %d KiB", maxSize>>10)
	}
	if err := checkBytes(data); err != nil {
		return Table{}, err
	}
	p := &parser{rest: string(data), line: 1}
	return p.table()
}

// checkBytes refuses what TOML allows nowhere: bytes that are not UTF-8, and
// control characters but tab and the end of a line.
func checkBytes(data []byte) error {
	for i, line := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(line) {
			return atLine(i+1, "this is not UTF-8 text")
		}
		for _, c := range bytes.TrimSuffix(line, []byte("\r")) {
			if c < ' ' && c != '\t' || c == 0x7f {
				return atLine(i+1, "control character %#02x", c)
			}
		}
		// The last piece has no newline after it, so a CR at its end stands alone.
		if last := i == bytes.Count(data, []byte("\n")); last && bytes.HasSuffix(line, []byte("\r")) {
			return atLine(i+1, "control character 0x0d")
		}
	}
	return nil
}

func atLine(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)
}

// A parser holds what is left to read.
type parser struct {
	rest string
	line int
}

func (p *parser) errorf(format string, args ...any) error { return atLine(p.line, format, args...) }

func (p *parser) table() (Table, error) {
	var t Table
	seen := map[string]int{}
	for {
		p.skip(true)
		if p.rest == "" {
			return t, nil
		}
		e, err := p.entry()
		if err != nil {
			return Table{}, err
		}
		if first, dup := seen[e.key]; dup {
			return Table{}, atLine(e.line, "key %s is there already, in line %d", e.key, first)
		}
		seen[e.key] = e.line
		t.entries = append(t.entries, e)
		p.skip(false)
		if p.rest != "" && !p.eat("\n") && !p.eat("\r\n") {
			return Table{}, p.errorf("unexpected %s after the value; each key stands in a line of its own", p.next())
		}
		if p.rest != "" {
			p.line++
		}
	}
}

// skip passes over blanks and a comment, with lines also over ends of lines.
func (p *parser) skip(lines bool) {
	for p.rest != "" {
		switch {
		case p.rest[0] == ' ' || p.rest[0] == '\t':
			p.rest = p.rest[1:]
		case p.rest[0] == '#':
			end := strings.IndexByte(p.rest, '\n')
			if end < 0 {
				end = len(p.rest)
			}
			p.rest = p.rest[end:]
		case lines && (p.eat("\n") || p.eat("\r\n")):
			p.line++
		default:
			return
		}
	}
}

func (p *parser) eat(token string) bool {
	rest, ok := strings.CutPrefix(p.rest, token)
	p.rest = rest
	return ok
}

// next names what stands here, for an error.
func (p *parser) next() string {
	if p.rest == "" {
		return "end of the file"
	}
	if p.rest[0] == '\n' || p.rest[0] == '\r' {
		return "end of the line"
	}
	r, _ := utf8.DecodeRuneInString(p.rest)
	return strconv.QuoteRune(r)
}

func (p *parser) entry() (entry, error) {
	e := entry{line: p.line}
	n := strings.IndexFunc(p.rest, func(r rune) bool { return !isBare(r) })
	if n < 0 {
		n = len(p.rest)
	}
	e.key, p.rest = p.rest[:n], p.rest[n:]
	if e.key == "" {
		switch p.rest[0] {
		case '[':
			return e, p.errorf("sections such as [name] are not used here; each line is key = value")
		case '"', '\'':
			return e, p.errorf("write the key without quotes")
		}
		return e, p.errorf("expected a key, found %s", p.next())
	}
	p.skipBlanks()
	if strings.HasPrefix(p.rest, ".") {
		return e, p.errorf("keys with a dot are not used here; each line is key = value")
	}
	if !p.eat("=") {
		return e, p.errorf("expected = after %s, found %s", e.key, p.next())
	}
	p.skipBlanks()
	var err error
	e.value, err = p.value()
	return e, err
}

func (p *parser) skipBlanks() { p.rest = strings.TrimLeft(p.rest, " \t") }

// isBare reports whether r may stand in a key without quotes.
func isBare(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

func (p *parser) value() (Value, error) {
	switch {
	case p.rest == "" || p.rest[0] == '\n' || p.rest[0] == '\r' || p.rest[0] == '#':
		return Value{}, p.errorf("the value is missing; %s", allowed)
	case p.rest[0] == '"' || p.rest[0] == '\'':
		s, err := p.text()
		return Value{kind: textValue, text: s}, err
	case p.rest[0] == '[':
		return p.list()
	case p.rest[0] == '{':
		return Value{}, p.errorf("tables are not used here; %s", allowed)
	}
	return p.word()
}

// word reads true, false or a whole number.
func (p *parser) word() (Value, error) {
	n := strings.IndexAny(p.rest, " \t\r\n#,]")
	if n < 0 {
		n = len(p.rest)
	}
	word := p.rest[:n]
	p.rest = p.rest[n:]
	switch word {
	case "true", "false":
		return Value{kind: boolValue, flag: word == "true"}, nil
	}
	digits := strings.TrimPrefix(strings.TrimPrefix(word, "-"), "+")
	number, err := strconv.ParseInt(word, 10, 64)
	// TOML has no leading zeros, and only one sign.
	if err != nil || len(digits) < len(word)-1 || len(digits) > 1 && digits[0] == '0' {
		return Value{}, p.errorf("%s is not a value known here; %s", strconv.Quote(word), allowed)
	}
	return Value{kind: numberValue, number: number}, nil
}

func (p *parser) list() (Value, error) {
	v := Value{kind: listValue, list: []string{}}
	p.eat("[")
	for {
		p.skip(true)
		if p.eat("]") {
			return v, nil
		}
		if p.rest == "" || p.rest[0] != '"' && p.rest[0] != '\'' {
			return v, p.errorf("expected a text in quotes or ] in the list, found %s", p.next())
		}
		s, err := p.text()
		if err != nil {
			return v, err
		}
		v.list = append(v.list, s)
		p.skip(true)
		if !p.eat(",") && !strings.HasPrefix(p.rest, "]") {
			return v, p.errorf("expected , or ] in the list, found %s", p.next())
		}
	}
}
