package server

import (
	"fmt"
	"math"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/journal"
)

// Message ids of the front desk's own records; the engine has others.
const (
	// MessageAsked marks the record that somebody asked, made before anything else, and
	// in the caller's own cgroup.
	MessageAsked = "a5c1e8f20b7d4d6f93e46c8a17f2d05b"
	// MessageDenied marks the record of a request that was refused.
	MessageDenied = "4e9f7b3ad6214b0c8a5d12e7c093f86d"
)

// Priorities of syslog(3).
const (
	priorityWarning = 4
	priorityNotice  = 5
)

// pkexecUID returns the variable of the environment in which pkexec says who asks, nil
// where it is not set.
func pkexecUID() *string {
	if value, ok := os.LookupEnv("PKEXEC_UID"); ok {
		return &value
	}
	return nil
}

// callerUID returns who asked: pkexec's caller, else root. pkexec alone can set the
// variable, but the number is used for the record only, never to decide.
func callerUID(pkexecUID *string) (uint32, error) {
	if pkexecUID == nil {
		return 0, nil
	}
	uid, err := strconv.ParseUint(*pkexecUID, 10, 32)
	// The largest number means "no user" to the kernel (chown(2), setreuid(2)).
	if err != nil || uid == math.MaxUint32 {
		return 0, fmt.Errorf("cannot tell who asks: PKEXEC_UID is %s", shown(*pkexecUID))
	}
	return uint32(uid), nil
}

// userName returns the name of uid in /etc/passwd, else the number: built without
// cgo, nothing else is asked.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// record sends a record on to the journal. Nothing depends on its arrival.
func (d *desk) record(e journal.Entry) { _ = d.journal(e) }

func (d *desk) logAsked(r helper.Request) { d.record(asked(r, os.Getppid())) }

// asked is the record of a request that came from a child of the process parent.
func asked(r helper.Request, parent int) journal.Entry {
	return journal.Entry{
		Priority:  priorityNotice,
		MessageID: MessageAsked,
		Message:   fmt.Sprintf("%s asks to %s", r.User, r.Verb),
		Fields:    callerFields(r, parent),
	}
}

func (d *desk) logDenied(result *helper.Result) {
	fields := callerFields(result.Request, os.Getppid())
	fields[journal.OutcomeWord] = string(result.Outcome)
	d.record(journal.Entry{
		Priority:  priorityWarning,
		MessageID: MessageDenied,
		Message:   "denied: " + result.Error,
		Fields:    fields,
	})
}

// readLink is os.Readlink with a time limit: a process that hangs in execve(2) makes
// everyone hang who asks what it executes.
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
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case a := <-answers:
		return a.target, a.err
	case <-patience.C:
		return "", &os.PathError{Op: "readlink", Path: name, Err: os.ErrDeadlineExceeded}
	}
}

// callerFields describes who asked. The login uid is the kernel's word for who logged
// in, whatever sudo and pkexec did since; what the parent process is called is only
// its own.
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
		"IMMUTRAY_PARENT_UNVERIFIED": helper.ShortName(program),
	}
	if r.Reason != "" {
		fields[journal.Reason] = r.Reason
	}
	return fields
}
