package engine

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/journal"
)

// Message ids of the journal's records; "journalctl MESSAGE_ID=…" finds them.
const (
	// MessageIntent marks the record made before anything is changed. One without an
	// outcome is the trace of a helper that was killed.
	MessageIntent = "6d3b0c7e1f5a4c0c9e3a2f7b8d41c960"
	// MessageOutcome marks the record of how a request ended.
	MessageOutcome = "b1f2a94d7c3e4e58a6f0d5c29b7e8031"
)

// Priorities of syslog(3).
const (
	priorityError  = 3
	priorityNotice = 5
)

func (e *Engine) logIntent(result *helper.Result) {
	fields := e.fields(result)
	fields["IMMUTRAY_BEFORE"] = flags(result.Before)
	e.log(journal.Entry{
		Priority:  priorityNotice,
		MessageID: MessageIntent,
		Message:   fmt.Sprintf("about to %s %s for %s", result.Request.Verb, quoted(e.Config.Paths), onBehalf(result.Request)),
		Fields:    fields,
	})
}

func (e *Engine) logOutcome(result *helper.Result) {
	fields := e.fields(result)
	fields["IMMUTRAY_BEFORE"] = flags(result.Before)
	fields["IMMUTRAY_AFTER"] = flags(result.Status)
	fields["IMMUTRAY_OUTCOME"] = string(result.Outcome)
	fields["IMMUTRAY_DURATION_USEC"] = strconv.FormatInt(result.Finished.Sub(result.Started).Microseconds(), 10)
	entry := journal.Entry{
		Priority:  priorityNotice,
		MessageID: MessageOutcome,
		Message:   fmt.Sprintf("%s for %s: %s, the system is %s", result.Request.Verb, onBehalf(result.Request), result.Outcome, result.Status.State),
		Fields:    fields,
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

// onBehalf says who asked, or that it was nobody.
func onBehalf(r helper.Request) string {
	if r.Due {
		return "the end of the window"
	}
	return r.User
}

func (e *Engine) log(entry journal.Entry) {
	if e.Journal != nil {
		e.Journal(entry)
	}
}

func (e *Engine) fields(result *helper.Result) map[string]string {
	fields := map[string]string{
		"IMMUTRAY_VERB":    string(result.Request.Verb),
		"IMMUTRAY_REQUEST": result.Request.ID,
		"IMMUTRAY_UID":     strconv.FormatUint(uint64(result.Request.UID), 10),
		"IMMUTRAY_USER":    result.Request.User,
		"IMMUTRAY_PATHS":   quoted(e.Config.Paths),
	}
	if result.Request.Due {
		fields["IMMUTRAY_DUE"] = "1"
	}
	if result.Status != nil && result.Status.Window != nil && result.Status.Window.Until != nil {
		fields["IMMUTRAY_UNTIL"] = result.Status.Window.Until.UTC().Format(time.RFC3339)
	}
	return fields
}

// flags writes the layers of every path, such as `"/" property=ro mount=rw superblock=rw`.
func flags(status *helper.Status) string {
	var parts []string
	for _, p := range status.Paths {
		parts = append(parts, fmt.Sprintf("%q property=%s mount=%s superblock=%s", p.Path, p.Property, p.Mount, p.Superblock))
	}
	return strings.Join(parts, "; ")
}

func quoted(paths []string) string {
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = strconv.Quote(p)
	}
	return strings.Join(quoted, " ")
}
