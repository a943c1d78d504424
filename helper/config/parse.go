package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"immutray.org/helper/text"
)

// maxSize is far more than any configuration needs.
const maxSize = 64 << 10

// A Table is the content of a configuration file: keys with their values, in the order
// of the file.
type Table struct{ entries []entry }

type entry struct {
	key   string
	line  int
	value Value
}

// ParseTable reads a table. An error in the syntax names the line.
func ParseTable(r io.Reader) (Table, error) {
	data, err := readAll(r)
	if err != nil {
		return Table{}, err
	}
	t, err := parseTable(data)
	if err != nil {
		return Table{}, syntaxError(err)
	}
	return t, nil
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("it is larger than %d KiB", maxSize>>10)
	}
	return data, nil
}

func parseTable(data []byte) (Table, error) {
	values := map[string]any{}
	meta, err := toml.Decode(string(data), &values)
	if err != nil {
		return Table{}, err
	}
	var t Table
	for _, key := range meta.Keys() {
		if !t.has(key[0]) { // else it is a part of that
			t.entries = append(t.entries, entry{key[0], lineOf(key[0], data), Value{values[key[0]]}})
		}
	}
	return t, nil
}

// lineOf returns the first line that looks like that of a key, 0 if none does: the library does
// not say where a key is.
func lineOf(key string, data []byte) int {
	name := regexp.QuoteMeta(key)
	place := regexp.MustCompile(`(?m)^[ \t]*["'\[]*` + name + `["'\] \t]*[=.\]\r\n]`).FindIndex(data)
	if place == nil {
		return 0
	}
	return 1 + bytes.Count(data[:place[0]], []byte("\n"))
}

// A lineError is an error in a line of the file.
type lineError struct {
	line int
	error
}

func (e lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.error) }
func (e lineError) Unwrap() error { return e.error }

// atLine is fmt.Errorf for a line of the file; line is 0 if it is not known.
func atLine(line int, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if line > 0 {
		return lineError{line, err}
	}
	return err
}

// syntaxError returns what the library says, without its name.
func syntaxError(err error) error {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	return atLine(parse.Position.Line, "%s", text.Visible(strings.TrimPrefix(parse.Message, "toml: ")))
}
