package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"immutray.org/helper/text"
)

// A Key is one key that a file may have, and what to do with its value.
type Key struct {
	Name string
	Set  func(Value) error
}

// Apply passes every value of the table to its key. An unknown key is an error, so that a
// mistyped one does not silently mean the default.
func (t Table) Apply(keys []Key) error {
	for _, e := range t.entries {
		if err := e.apply(keys); err != nil {
			return err
		}
	}
	return nil
}

func (e entry) apply(keys []Key) error {
	set := find(keys, e.key)
	if set == nil {
		return atLine(e.line, "unknown key %s; %s", quoteKey(e.key), suggestion(keys, e.key))
	}
	if err := set(e.value); err != nil {
		return atLine(e.line, "%s: %w", e.key, err)
	}
	return nil
}

// has reports whether the file has a key of that name.
func (t Table) has(name string) bool {
	return slices.ContainsFunc(t.entries, func(e entry) bool { return e.key == name })
}

// quoteKey returns a key as it is, or quoted if there is more in it than letters.
func quoteKey(key string) string {
	if strings.ContainsAny(key, `.\`) {
		return strconv.Quote(key)
	}
	return text.Quote(key)
}

func find(keys []Key, name string) func(Value) error {
	for _, k := range keys {
		if k.Name == name {
			return k.Set
		}
	}
	return nil
}

// A Value is the value of one key.
type Value struct{ any any }

// Text returns the value of a key that must hold a text.
func (v Value) Text() (string, error) {
	text, ok := v.any.(string)
	if !ok {
		return "", errors.New(`it must be a text in quotes, such as "text"`)
	}
	if strings.ContainsRune(text, 0) {
		return "", errors.New(`it contains \u0000, which no path and no word can`)
	}
	return text, nil
}

// Texts returns the value of a key that must hold a list of texts.
func (v Value) Texts() ([]string, error) {
	list, ok := v.any.([]any)
	texts := make([]string, len(list))
	for i, element := range list {
		text, err := Value{element}.Text()
		ok = ok && err == nil
		texts[i] = text
	}
	if !ok {
		return nil, errors.New(`it must be a list of texts, such as ["/", "/etc"]`)
	}
	return texts, nil
}

// Bool returns the value of a key that must hold true or false.
func (v Value) Bool() (bool, error) {
	flag, ok := v.any.(bool)
	if !ok {
		return false, errors.New("it must be true or false, without quotes")
	}
	return flag, nil
}

// Duration returns the value of a key that must hold a time span between least
// and most, written as a text: "5s", "15 min", "1h 30m".
func (v Value) Duration(least, most time.Duration) (time.Duration, error) {
	word, err := v.Text()
	d, unread := text.ParseDuration(word)
	tooLong := errors.Is(unread, text.ErrTooLong)
	if err != nil || unread != nil && !tooLong {
		return 0, errors.New(`it must be a time with its unit in quotes, such as "5s", "15m" or "1h"`)
	}
	if d < least || d > most || tooLong {
		return 0, fmt.Errorf("it must be between %s and %s", text.ExactDuration(least), text.ExactDuration(most))
	}
	return d, nil
}

// suggestion names the known key nearest to name, or all of them.
func suggestion(keys []Key, name string) string {
	best, distance := "", 3 // further away it is another word, not a slip
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
		if d := editDistance(name, k.Name); d < distance {
			best, distance = k.Name, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "known keys are " + strings.Join(names, ", ")
}

// editDistance counts the letters to insert, delete or replace (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := diagonal
			if a[i-1] != b[j-1] {
				replace++
			}
			diagonal = row[j]
			row[j] = min(replace, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
