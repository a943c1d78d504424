package server

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/bound"
	"immutray.org/helper/config"
	"immutray.org/helper/journal"
	"immutray.org/helper/text"
)

// Message ids of the server's own records; the engine has others.
const (
	// MessageAsked marks the record of a request. The server sends it before anything else
	// is done, from the caller's cgroup.
	MessageAsked = "a5c1e8f20b7d4d6f93e46c8a17f2d05b"
	// MessageDenied marks the record of a request that was refused.
	MessageDenied = "4e9f7b3ad6214b0c8a5d12e7c093f86d"
)

// Priorities of syslog(3).
const (
	priorityWarning = 4
	priorityNotice  = 5
)

// record sends a record to the journal. Nothing depends on its arrival.
func (s *server) record(e journal.Entry) { _ = s.journal(e) }

// recordFor returns record for requests about the paths of a configuration, whose file is that
// which root named. The history of other paths than the machine's is their own. The records are
// also kept for those who can't read the journal; if that fails, the history has a gap there.
func (s *server) recordFor(file string, c config.Config) func(journal.Entry) {
	return func(entry journal.Entry) {
		if !isMachines(file) {
			entry.Fields[journal.Config] = file
		}
		s.record(entry)
		if err := s.keepRecord(c.StateDir, entry); err != nil {
			s.notices.add(err.Error())
		}
	}
}

func (s *server) logAsked(r helper.Request) { s.record(asked(r, os.Getppid())) }

// asked is the record of a request that came from a child of the process parent.
func asked(r helper.Request, parent int) journal.Entry {
	return journal.Entry{
		Priority:  priorityNotice,
		MessageID: MessageAsked,
		Message:   fmt.Sprintf("%s asks to %s", r.User, r.Verb),
		Fields:    callerFields(r, parent),
	}
}

func (s *server) logDenied(result *helper.Result) {
	fields := callerFields(result.Request, os.Getppid())
	fields[journal.OutcomeWord] = string(result.Outcome)
	s.record(journal.Entry{
		Priority:  priorityWarning,
		MessageID: MessageDenied,
		Message:   "denied: " + result.Error,
		Fields:    fields,
	})
}

// readLink is os.Readlink with a time limit: to ask what a process executes takes as long
// as the process hangs in execve(2).
func readLink(name string) (string, error) {
	type answer struct {
		target string
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		target, err := os.Readlink(name)
		answers <- answer{target, err}
	}()
	late := time.NewTimer(time.Second)
	defer late.Stop()
	select {
	case a := <-answers:
		return a.target, a.err
	case <-late.C:
		return "", &os.PathError{Op: "readlink", Path: name, Err: os.ErrDeadlineExceeded}
	}
}

// callerFields describes who asks. The login uid is the kernel's record of who has logged
// in, whatever sudo and pkexec have done since. The name of the parent process is only what
// that process says.
func callerFields(r helper.Request, parent int) map[string]string {
	program, err := readLink(fmt.Sprintf("/proc/%d/exe", parent))
	if err != nil {
		program = "<unknown>"
	}
	login := "<unknown>"
	if data, err := os.ReadFile("/proc/self/loginuid"); err == nil {
		login = strings.TrimSpace(string(data))
	}
	fields := map[string]string{
		journal.Verb:                 string(r.Verb),
		journal.Request:              r.ID,
		journal.UID:                  strconv.FormatUint(uint64(r.UID), 10),
		journal.User:                 r.User,
		"IMMUTRAY_LOGINUID":          login,
		"IMMUTRAY_PARENT_PID":        strconv.Itoa(parent),
		"IMMUTRAY_PARENT_UNVERIFIED": text.ShortenName(program, bound.MaxName),
	}
	if r.Reason != "" {
		fields[journal.Reason] = r.Reason
	}
	return fields
}
