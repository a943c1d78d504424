package main

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"immutray.org/helper"
)

// writersReport is the JSON of "immutectl writers --json".
type writersReport struct {
	// Complete is false when the search could not look everywhere: without root it
	// sees the user's own processes alone.
	Complete bool            `json:"complete"`
	Writers  []helper.Writer `json:"writers"`
}

// statusAt is one line of "immutectl watch --json": the object of
// "immutectl status --json" and when it became true.
type statusAt struct {
	Time time.Time `json:"time"`
	helper.Status
}

// toJSON returns v as JSON that ends in a newline. Paths keep their < > & as they
// are, because this is not for web pages.
func toJSON(v any, oneLine bool) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if !oneLine {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return b.String(), nil
}

// forJSON makes lists of nothing [] instead of null, and gives times the one form that all of our
// JSON has.
func forJSON(s helper.Status) helper.Status {
	if s.Paths == nil {
		s.Paths = []helper.PathStatus{}
	}
	if s.Window != nil {
		w := windowForJSON(*s.Window)
		s.Window = &w
	}
	s.Runs = slices.Clone(s.Runs)
	for i := range s.Runs {
		s.Runs[i].Since = inSeconds(s.Runs[i].Since)
	}
	return s
}

func windowForJSON(w helper.Window) helper.Window {
	w.Since = inSeconds(w.Since)
	if w.Until != nil {
		until := inSeconds(*w.Until)
		w.Until = &until
	}
	return w
}

// inSeconds returns a time that JSON writes as RFC 3339 does, in UTC and without a fraction.
func inSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
