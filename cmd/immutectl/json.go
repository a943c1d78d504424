package main

import (
	"encoding/json"
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

// neverNull makes lists of nothing [] instead of null.
func neverNull(s helper.Status) helper.Status {
	if s.Paths == nil {
		s.Paths = []helper.PathStatus{}
	}
	return s
}
