package helper

import (
	"slices"
	"unicode/utf8"
)

// What a result holds at most, in characters where it is text. Most of it is named by
// whoever opens files and starts programs, and it is kept in memory, read again and sent
// on: so nobody must be able to make it long.
const (
	// MaxWriters is how many writers are listed; how many more there are is counted.
	MaxWriters = 12
	// MaxName is how long a path, or the name of a program, a user or a unit, may be.
	MaxName = 256
	// MaxText is how long an error or a notice may be.
	MaxText = 3000

	maxNotices = 12
	maxRuns    = 12
)

// Bound cuts what is longer than is kept, and counts what is left out.
func (r *Result) Bound() {
	r.Writers, r.MoreWriters = boundWriters(r.Writers, r.MoreWriters)
	r.Holder = r.Holder.bounded()
	r.Request.User = cutMiddle(r.Request.User, MaxName)
	r.Error = shortened(r.Error, MaxText)
	if over := len(r.Notices) - maxNotices; over > 0 {
		r.Notices = slices.Clone(r.Notices[:maxNotices])
	}
	for i, notice := range r.Notices {
		r.Notices[i] = shortened(notice, MaxText)
	}
	r.Before.bound()
	r.Status.bound()
}

// Bound cuts what is longer than is kept, and counts what is left out.
func (o *Overdue) Bound() {
	if o == nil {
		return
	}
	o.Error = shortened(o.Error, MaxText)
	o.Writers, o.MoreWriters = boundWriters(o.Writers, o.MoreWriters)
	o.Holder = o.Holder.bounded()
}

func (s *Status) bound() {
	if s == nil {
		return
	}
	s.Runs = slices.Clone(s.Runs[:min(len(s.Runs), maxRuns)])
	for i := range s.Runs {
		s.Runs[i].Command = boundCommand(s.Runs[i].Command)
	}
	for i := range s.Paths {
		s.Paths[i].Error = shortened(s.Paths[i].Error, MaxText)
	}
	s.Overdue.Bound()
}

func (h *LockHolder) bounded() *LockHolder {
	if h == nil {
		return nil
	}
	cut := *h
	cut.Program = cutMiddle(cut.Program, MaxName)
	return &cut
}

// Bounded returns the writer with no name of more than most characters.
func (w Writer) Bounded(most int) Writer {
	for _, name := range []*string{&w.Path, &w.Program, &w.User, &w.Unit, &w.Device} {
		*name = cutMiddle(*name, most)
	}
	return w
}

// boundWriters keeps as many writers as are listed, in their order, and counts the
// others. Of every user at least one is kept before a second of any, and then of every
// process: so that one who opens many files does not hide the others.
func boundWriters(all []Writer, more int) ([]Writer, int) {
	keep := map[int]bool{}
	pick := func(wanted func(Writer) bool) {
		for i, w := range all {
			if len(keep) < MaxWriters && !keep[i] && wanted(w) {
				keep[i] = true
			}
		}
	}
	users, processes := map[uint32]bool{}, map[int]bool{}
	pick(func(w Writer) bool { first := !users[w.UID]; users[w.UID] = true; return first })
	pick(func(w Writer) bool { first := !processes[w.PID]; processes[w.PID] = true; return first })
	pick(func(Writer) bool { return true })
	var kept []Writer
	for i, w := range all {
		if keep[i] {
			kept = append(kept, w.Bounded(MaxName))
		}
	}
	return kept, more + len(all) - len(kept)
}

// boundCommand keeps the beginning of a command line.
func boundCommand(words []string) []string {
	var kept []string
	left := MaxCommand
	for _, word := range words {
		if left <= 0 {
			return append(kept, "…")
		}
		word = shortened(word, left)
		kept, left = append(kept, word), left-utf8.RuneCountInString(word)-1
	}
	return kept
}

// shortened returns the beginning of a text that has more than most characters.
func shortened(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// ShortName returns the beginning and the end of a name that is longer than is kept.
func ShortName(name string) string { return cutMiddle(name, MaxName) }

// cutMiddle returns the beginning and the end of a name that has more than most
// characters: of a path both tell.
func cutMiddle(name string, most int) string {
	n := utf8.RuneCountInString(name)
	if n <= most {
		return name
	}
	runes := []rune(name)
	return string(runes[:most/2]) + "…" + string(runes[n-(most-most/2-1):])
}
