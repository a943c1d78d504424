package engine

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/journal"
)

// Message ids of the journal's records.
const (
	MessageIntent  = journal.Intent
	MessageOutcome = journal.Outcome
)

// Priorities of syslog(3).
const (
	priorityError  = 3
	priorityNotice = 5
)

func (e *Engine) logIntent(result *helper.Result) {
	e.log(journal.Entry{
		Priority:  priorityNotice,
		MessageID: MessageIntent,
		Message:   fmt.Sprintf("about to %s %s for %s", result.Request.Verb, quoted(result.Before), onBehalf(result.Request)),
		Fields:    e.fields(result),
	})
}

func (e *Engine) logOutcome(result *helper.Result) {
	e.logEnd(result, string(result.Outcome))
}

// logEnd is logOutcome with another text.
func (e *Engine) logEnd(result *helper.Result, words string) {
	fields := e.fields(result)
	fields[journal.OutcomeWord] = string(result.Outcome)
	fields[journal.State] = string(result.Status.State)
	fields[journal.After] = flags(result.Status)
	fields[journal.Duration] = strconv.FormatInt(result.Finished.Sub(result.Started).Microseconds(), 10)
	addWindow(fields, result)
	entry := journal.Entry{
		Priority:  priorityNotice,
		MessageID: MessageOutcome,
		Message:   fmt.Sprintf("%s for %s: %s, the system is %s", result.Request.Verb, onBehalf(result.Request), words, result.Status.State),
		Fields:    fields,
		Durable:   true,
	}
	if result.Outcome != helper.Done {
		entry.Priority = priorityError
		entry.Message += ": " + result.Error
	}
	for _, notice := range result.Notices {
		entry.Message += "; " + notice
	}
	e.log(entry)
}

// onBehalf says who asked and why, or what acted by itself.
func onBehalf(r helper.Request) string {
	switch {
	case r.Due:
		return "the end of the window"
	case r.On != "":
		return "relock_on " + string(r.On)
	case r.Reason != "":
		return r.User + " (" + r.Reason + ")"
	}
	return r.User
}

func (e *Engine) log(entry journal.Entry) {
	if e.Journal != nil {
		e.Journal(entry)
	}
}

func (e *Engine) fields(result *helper.Result) map[string]string {
	r := result.Request
	_, sinceBoot := e.clock.now()
	fields := map[string]string{
		journal.Verb:      string(r.Verb),
		journal.Request:   r.ID,
		journal.Cause:     string(r.Cause()),
		journal.UID:       strconv.FormatUint(uint64(r.UID), 10),
		journal.User:      r.User,
		journal.Paths:     quoted(result.Before),
		journal.Before:    flags(result.Before),
		journal.SinceBoot: strconv.FormatInt(sinceBoot.Microseconds(), 10),
	}
	if r.Reason != "" {
		fields[journal.Reason] = r.Reason
	}
	if result.Before.ConfigError != "" {
		fields[journal.ConfigError] = result.Before.ConfigError
	}
	return fields
}

// addWindow describes the window that is open now, or the one that has ended, so that this
// record is enough when the others are gone from the journal.
func addWindow(fields map[string]string, result *helper.Result) {
	w := result.Status.Window
	if w == nil {
		w = result.Before.Window
	}
	if w == nil {
		return
	}
	fields[journal.WindowSince] = w.Since.UTC().Format(time.RFC3339)
	fields[journal.WindowUID] = strconv.FormatUint(uint64(w.UID), 10)
	fields[journal.WindowUser] = w.User
	if w.Until != nil {
		fields[journal.WindowUntil] = w.Until.UTC().Format(time.RFC3339)
	}
	if w.Reason != "" {
		fields[journal.WindowReason] = w.Reason
	}
}

// flags writes the layers of every path, such as `"/" property=ro mount=rw superblock=rw`.
func flags(status *helper.Status) string {
	var parts []string
	for _, p := range status.Paths {
		parts = append(parts, fmt.Sprintf("%q property=%s mount=%s superblock=%s", p.Path, p.Property, p.Mount, p.Superblock))
	}
	return strings.Join(parts, "; ")
}

// quoted names every path.
func quoted(status *helper.Status) string {
	quoted := make([]string, len(status.Paths))
	for i, p := range status.Paths {
		quoted[i] = strconv.Quote(p.Path)
	}
	return strings.Join(quoted, " ")
}
