package journal

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// Whatever is in a value, journald reads the fields that were meant, and no other.
func FuzzEncode(f *testing.F) {
	f.Add("locked", "REASON", "new kernel", 5)
	f.Add("a\nPRIORITY=0", "REASON", "a\nPRIORITY=0\n_UID=0", 3)
	f.Add("\x1b[31m\xff\u2028", "USER", "\x00\n\x00", 6)
	f.Add("", "", "", 8)
	f.Add("x", "MESSAGE", "y", 4)
	f.Fuzz(func(t *testing.T, message, name, value string, priority int) {
		data, err := encode(Entry{Priority: priority, Message: message, Fields: map[string]string{name: value}})
		if err != nil {
			return
		}
		got, err := decode(string(data))
		if err != nil {
			t.Fatalf("decode(%q): %v", data, err)
		}
		if len(got) != 4 || got[name] != value || got["PRIORITY"] != strconv.Itoa(priority) || got["SYSLOG_IDENTIFIER"] != identifier {
			t.Errorf("encode() of %q and %s=%q is read as %q", message, name, value, got)
		}
		if strings.ContainsFunc(got["MESSAGE"], unicode.IsControl) {
			t.Errorf("the message is %q", got["MESSAGE"])
		}
	})
}
