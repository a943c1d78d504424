package config

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"regexp"
	"slices"

	"github.com/BurntSushi/toml"

	"immutray.org/helper/text"
)

// maxWrong is how many lines that are not TOML a file may have before Salvage gives it up.
const maxWrong = 20

// Salvage passes to the keys what can be used of a file, and returns an error for every line
// that can't, in their order. It is for settings that harm no one: one mistake does not discard
// the rest. Of root's configuration nothing may be left out, so that is never salvaged.
func Salvage(r io.Reader, keys []Key) []error {
	table, errs := salvageTable(r)
	for _, e := range table.entries {
		if err := e.apply(keys); err != nil {
			errs = append(errs, err)
		}
	}
	slices.SortStableFunc(errs, func(a, b error) int { return cmp.Compare(lineIn(a), lineIn(b)) })
	return errs
}

// lineIn returns the line that an error is about, 0 if it is about none.
func lineIn(err error) int {
	var in lineError
	errors.As(err, &in)
	return in.line
}

// salvageTable is ParseTable without the lines that are not TOML.
func salvageTable(r io.Reader) (Table, []error) {
	data, err := readAll(r)
	if err != nil {
		return Table{}, []error{err}
	}
	lines := bytes.Split(data, []byte("\n"))
	var errs []error
	for len(errs) < maxWrong {
		t, err := parseTable(bytes.Join(lines, []byte("\n")))
		var wrong toml.ParseError
		switch {
		case err == nil:
			return t, errs
		case !errors.As(err, &wrong):
			return Table{}, append(errs, err)
		}
		at := wrong.Position.Line - 1
		if at < 0 || at >= len(lines) || len(bytes.TrimSpace(lines[at])) == 0 {
			// The mistake is in another line: a text without its end, for instance. It has been
			// named if the last line was.
			if len(errs) == 0 {
				errs = append(errs, syntaxError(err))
			}
			return Table{}, errs
		}
		errs = append(errs, lineWords(err, wrong.Position.Line, string(lines[at])))
		lines[at] = nil // not removed: the others keep their number
	}
	return Table{}, append(errs, errors.New("too many lines are wrong"))
}

var (
	keyOfLine = regexp.MustCompile(`^\s*([A-Za-z0-9_-]+)\s*=\s*`)
	bareWord  = regexp.MustCompile(`^[A-Za-z0-9._-]*[A-Za-z][A-Za-z0-9._-]*\s*(#.*)?$`)
)

// lineWords is syntaxError with the key of the line. What people leave out most often is the
// quotes, and the library does not say that.
func lineWords(err error, line int, content string) error {
	key := keyOfLine.FindStringSubmatch(content)
	switch {
	case key == nil:
		return syntaxError(err)
	case bareWord.MatchString(content[len(key[0]):]):
		return atLine(line, "%s: the value must be in quotes", key[1])
	}
	var wrong lineError
	if errors.As(syntaxError(err), &wrong) {
		err = wrong.error
	}
	return atLine(line, "%s: %s", text.Visible(key[1]), err)
}
