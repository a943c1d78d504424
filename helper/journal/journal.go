// Package journal writes structured records to systemd's journal, in its native
// protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).
package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"immutray.org/helper/text"
)

// An Entry is one record.
type Entry struct {
	Priority  int    // as in syslog(3): 3 error, 4 warning, 5 notice, 6 info
	MessageID string // 32 hexadecimal digits, one per kind of event
	Message   string // one line
	// Fields are further fields, names in capitals as systemd.journal-fields(7) wants them.
	Fields map[string]string
	// Durable has journald write its records to the disk at once. By itself it does so every 5
	// minutes (SyncIntervalSec= in journald.conf(5)): too late for a record that has to survive
	// a power cut.
	Durable bool
}

const (
	// socket is where journald listens.
	socket = "/run/systemd/journal/socket"
	// control is where it takes orders from root.
	control = "/run/systemd/journal/io.systemd.journal"
)

// identifier finds the records with "journalctl -t".
const identifier = "immutray-helper"

// Send writes one record. Without a journal it returns an error. The caller may ignore that:
// nothing depends on the record.
func Send(e Entry) error {
	if err := sendTo(socket, e); err != nil {
		return err
	}
	if e.Durable {
		return syncBy(control)
	}
	return nil
}

// encode writes the fields one after the other:
//
//	NAME=value\n                                       without a newline in value
//	NAME\n <length, 64 bits, little endian> value \n   any value
func encode(e Entry) ([]byte, error) {
	if e.Priority < 0 || e.Priority > 7 {
		return nil, fmt.Errorf("priority %d is not one of syslog's", e.Priority)
	}
	var b bytes.Buffer
	// It is shown on terminals and forwarded to syslog, where a line break would start a
	// record of its own.
	put(&b, "MESSAGE", text.Visible(e.Message))
	put(&b, "PRIORITY", strconv.Itoa(e.Priority))
	put(&b, "SYSLOG_IDENTIFIER", identifier)
	if e.MessageID != "" {
		put(&b, "MESSAGE_ID", e.MessageID)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		if err := checkName(name); err != nil {
			return nil, err
		}
		put(&b, name, e.Fields[name])
	}
	return b.Bytes(), nil
}

func put(b *bytes.Buffer, name, value string) {
	b.WriteString(name)
	if !strings.Contains(value, "\n") {
		b.WriteString("=" + value + "\n")
		return
	}
	b.WriteByte('\n')
	b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
	b.WriteString(value + "\n")
}

// checkName refuses names that journald would silently drop: it takes at most 64 capitals,
// digits and underscores, and keeps names with an underscore in front for itself.
func checkName(name string) error {
	switch name {
	case "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "MESSAGE_ID":
		return fmt.Errorf("journal field %s is set by itself", name)
	}
	valid := name != "" && len(name) <= 64 && name[0] >= 'A' && name[0] <= 'Z'
	for _, c := range []byte(name) {
		valid = valid && (c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_')
	}
	if !valid {
		return fmt.Errorf("journal field name %q is not valid", name)
	}
	return nil
}
