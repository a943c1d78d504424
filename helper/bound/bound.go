// Package bound cuts what a result and a status hold to what is kept. Most of it is named by
// whoever opens files and starts programs, and it stays in memory, is read again and sent on:
// so no user must be able to make it long.
package bound

import (
	"slices"
	"unicode/utf8"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// What is kept at most, in characters where it is text.
const (
	// MaxWriters is how many writers are listed. How many more there are is counted.
	MaxWriters = 12
	// MaxName is for a path, and for the name of a program, a user or a unit.
	MaxName = 256
	// maxText is for an error or a notice.
	maxText = 3000

	maxNotices = 12
	maxRuns    = 12
)

// Result cuts what is longer than is kept, and counts the writers that are left out.
func Result(r *helper.Result) {
	r.Writers, r.MoreWriters = writers(r.Writers, r.MoreWriters)
	r.Busy = busy(r.Busy)
	r.Request.User = text.ShortenName(r.Request.User, MaxName)
	r.Error = text.Shorten(r.Error, maxText)
	if over := len(r.Notices) - maxNotices; over > 0 {
		r.Notices = slices.Clone(r.Notices[:maxNotices])
	}
	for i, notice := range r.Notices {
		r.Notices[i] = text.Shorten(notice, maxText)
	}
	status(r.Before)
	status(r.Status)
}

// Overdue does the same.
func Overdue(o *helper.Overdue) {
	if o == nil {
		return
	}
	o.Error = text.Shorten(o.Error, maxText)
	o.Writers, o.MoreWriters = writers(o.Writers, o.MoreWriters)
	o.Busy = busy(o.Busy)
}

func status(s *helper.Status) {
	if s == nil {
		return
	}
	s.Runs = slices.Clone(s.Runs[:min(len(s.Runs), maxRuns)])
	for i := range s.Runs {
		s.Runs[i].Command = command(s.Runs[i].Command)
	}
	for i := range s.Paths {
		s.Paths[i].Error = text.Shorten(s.Paths[i].Error, maxText)
	}
	Overdue(s.Overdue)
}

func busy(b *helper.Busy) *helper.Busy {
	if b == nil {
		return nil
	}
	cut := *b
	cut.Program = text.ShortenName(cut.Program, MaxName)
	return &cut
}

// Writer returns the writer with no name of more than most characters.
func Writer(w helper.Writer, most int) helper.Writer {
	for _, name := range []*string{&w.Path, &w.Program, &w.User, &w.Unit, &w.Device} {
		*name = text.ShortenName(*name, most)
	}
	return w
}

// writers keeps as many writers as are listed, in their order, and counts the
// others. Of every user at least one is kept before a second of any, and then of every
// process: so that one who opens many files does not hide the others.
func writers(all []helper.Writer, more int) ([]helper.Writer, int) {
	keep := map[int]bool{}
	pick := func(wanted func(helper.Writer) bool) {
		for i, w := range all {
			if len(keep) < MaxWriters && !keep[i] && wanted(w) {
				keep[i] = true
			}
		}
	}
	users, processes := map[uint32]bool{}, map[int]bool{}
	pick(func(w helper.Writer) bool { first := !users[w.UID]; users[w.UID] = true; return first })
	pick(func(w helper.Writer) bool { first := !processes[w.PID]; processes[w.PID] = true; return first })
	pick(func(helper.Writer) bool { return true })
	var kept []helper.Writer
	for i, w := range all {
		if keep[i] {
			kept = append(kept, Writer(w, MaxName))
		}
	}
	return kept, more + len(all) - len(kept)
}

// command keeps the beginning of a command line.
func command(words []string) []string {
	var kept []string
	left := helper.MaxCommand
	for _, word := range words {
		if left <= 0 {
			return append(kept, "…")
		}
		word = text.Shorten(word, left)
		kept, left = append(kept, word), left-utf8.RuneCountInString(word)-1
	}
	return kept
}
