package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/journal"
)

// A kind is what a record is about.
type kind int

const (
	intent kind = iota
	outcome
	shutdown
)

// A record is a parsed record of the journal. That of a shutdown has only a moment and a boot.
type record struct {
	moment
	kind    kind
	boot    string
	verb    helper.Verb
	config  string // "" is the machine's
	request string
	cause   helper.Cause
	uid     uint32
	user    string
	reason  string
	command string         // of "immutectl run"
	outcome helper.Outcome // of the outcome
	state   helper.State   // of the system, after the outcome
	window  *helper.Window // open after the outcome, or ended by it; may be nil
}

// opens reports whether the request opens a window.
func (r record) opens() bool { return r.verb == helper.Unlock || r.verb == helper.Unseal }

// Message ids of systemd (sd-messages.h).
const (
	// shuttingDown is logind's, when the machine is shut down or rebooted.
	shuttingDown = "98268866d1d54a499c4e98921d93bc40"
	// unitStopped is PID 1's. The target that every service depends on is stopped when
	// the machine is shut down, also where there is no logind.
	unitStopped = "9d1aaa27d60140bd96365438aad20286"
	bootTarget  = "sysinit.target"
)

// matches selects the records, as arguments of journalctl(1): of one field the values
// are alternatives, fields must all match, and "+" parts alternatives.
//
// Any user may send records to the journal, with any fields except those that begin with an
// underscore: those are journald's own, and _UID is what the kernel says of the sender
// (systemd.journal-fields(7)). So every record of root's is believed. Its program is not
// compared: journald can't read that of a process that has just ended.
func matches() []string {
	return []string{
		"_UID=0", "MESSAGE_ID=" + journal.Intent, "MESSAGE_ID=" + journal.Outcome, "MESSAGE_ID=" + shuttingDown,
		"+",
		"_UID=0", "MESSAGE_ID=" + unitStopped, "UNIT=" + bootTarget,
	}
}

// fields are the fields to read; the times and the boot come with every record.
func fields() []string {
	return append([]string{"MESSAGE_ID", "_UID", "UNIT"}, journal.HistoryFields()...)
}

// An entry is a record as "journalctl --output=json" prints it.
type entry map[string]value

// A value is the value of a field. In JSON it is a string; an array of numbers, its bytes, if it
// is not plain text; an array of those if the record has the field more than once, of which the
// first counts; or null if it is too large.
type value string

func (v *value) UnmarshalJSON(data []byte) error {
	if bytes, ok := bytesOf(data); ok {
		*v = value(bytes)
		return nil
	}
	if data[0] != '[' {
		return json.Unmarshal(data, (*string)(v))
	}
	var several []json.RawMessage
	if err := json.Unmarshal(data, &several); err != nil {
		return err
	}
	if bytes, ok := bytesOf(several[0]); ok {
		*v = value(bytes)
		return nil
	}
	return json.Unmarshal(several[0], (*string)(v))
}

// bytesOf reads an array of bytes as numbers.
func bytesOf(data []byte) ([]byte, bool) {
	var numbers []uint16 // a []uint8 would be read from base64
	if data[0] != '[' || json.Unmarshal(data, &numbers) != nil {
		return nil, false
	}
	bytes := make([]byte, len(numbers))
	for i, n := range numbers {
		if n > 0xff {
			return nil, false
		}
		bytes[i] = byte(n)
	}
	return bytes, true
}

// parse reads what journalctl printed. It returns our records, and the number of all records.
func parse(r io.Reader) (records []record, all int, err error) {
	for d := json.NewDecoder(r); ; all++ {
		var e entry
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			return records, all, nil
		}
		if err != nil {
			return records, all, fmt.Errorf("cannot understand the journal: %w", err)
		}
		if r, ok := e.record(); ok {
			records = append(records, r)
		}
	}
}

// record parses an entry. It returns false if the entry is not of root's helper or of a
// shutdown, or lacks what every record has.
func (e entry) record() (record, bool) {
	r := record{boot: string(e["_BOOT_ID"])}
	var ok bool
	if r.moment, ok = e.moment(); !ok || e["_UID"] != "0" || r.boot == "" {
		return r, false
	}
	switch e["MESSAGE_ID"] {
	case shuttingDown:
		r.kind = shutdown
		return r, true
	case unitStopped:
		r.kind = shutdown
		return r, e["UNIT"] == bootTarget
	case journal.Intent:
		r.kind = intent
	case journal.Outcome:
		r.kind = outcome
	default:
		return r, false
	}
	r.verb = helper.Verb(e[journal.Verb])
	r.config = string(e[journal.Config])
	r.request = string(e[journal.Request])
	r.cause = helper.Cause(e[journal.Cause])
	r.user, r.reason = string(e[journal.User]), string(e[journal.Reason])
	r.command, r.outcome = string(e[journal.Command]), helper.Outcome(e[journal.OutcomeWord])
	r.uid, _ = e.number32(journal.UID)
	r.state = helper.State(e[journal.State])
	r.window = e.window()
	return r, r.verb != "" && r.request != "" && (r.kind == intent || r.state != "")
}

func (e entry) moment() (moment, bool) {
	wall, ok1 := e.microseconds("__REALTIME_TIMESTAMP")
	monotonic, ok2 := e.microseconds("__MONOTONIC_TIMESTAMP")
	sinceBoot, _ := e.microseconds(journal.SinceBoot) // systemd's own records have none
	return moment{time.Unix(0, int64(wall)), monotonic, sinceBoot}, ok1 && ok2
}

// window returns the window in the fields of an outcome, or nil.
func (e entry) window() *helper.Window {
	since, err := time.Parse(time.RFC3339, string(e[journal.WindowSince]))
	if err != nil {
		return nil
	}
	w := &helper.Window{Since: since, User: string(e[journal.WindowUser]), Reason: string(e[journal.WindowReason])}
	w.UID, _ = e.number32(journal.WindowUID)
	if until, err := time.Parse(time.RFC3339, string(e[journal.WindowUntil])); err == nil {
		w.Until = &until
	}
	return w
}

// microseconds reads a number of microseconds that a Duration can hold.
func (e entry) microseconds(field string) (time.Duration, bool) {
	n, err := strconv.ParseInt(string(e[field]), 10, 64)
	const most = int64(1<<63-1) / int64(time.Microsecond)
	return time.Duration(n) * time.Microsecond, err == nil && n >= 0 && n <= most
}

func (e entry) number32(field string) (uint32, bool) {
	n, err := strconv.ParseUint(string(e[field]), 10, 32)
	return uint32(n), err == nil
}
