package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A listener stands in for journald.
type listener struct {
	path string
	conn *net.UnixConn
}

func listen(t *testing.T) *listener {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &listener{path, conn}
}

// receive returns the next record, by the rules of the protocol, and whether it came
// in a file.
func (l *listener) receive(t *testing.T) (fields map[string]string, inFile bool) {
	t.Helper()
	data, oob := make([]byte, 1<<20), make([]byte, 1024)
	l.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, oobn, _, _, err := l.conn.ReadMsgUnix(data, oob)
	if err != nil {
		t.Fatal(err)
	}
	data = data[:n]
	if oobn > 0 {
		data, inFile = readPassed(t, oob[:oobn]), true
	}
	fields, err = decode(string(data))
	if err != nil {
		t.Fatal(err)
	}
	return fields, inFile
}

// readPassed reads a passed file, which has to be sealed as journald wants it.
func readPassed(t *testing.T, oob []byte) []byte {
	t.Helper()
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		t.Fatalf("control messages %v, %v", messages, err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("descriptors %v, %v", fds, err)
	}
	f := os.NewFile(uintptr(fds[0]), "record")
	defer f.Close()
	const want = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0); err != nil || seals != want {
		t.Errorf("seals %#x, %v, want %#x", seals, err, want)
	}
	// The offset is shared with the sender.
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(data string) (map[string]string, error) {
	fields := map[string]string{}
	for data != "" {
		line, rest, ok := strings.Cut(data, "\n")
		if !ok {
			return nil, fmt.Errorf("%q does not end", data)
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			if len(rest) < 8 {
				return nil, fmt.Errorf("%q has no length", name)
			}
			size := binary.LittleEndian.Uint64([]byte(rest[:8]))
			if uint64(len(rest)-8) < size+1 || rest[8+size] != '\n' {
				return nil, fmt.Errorf("%q has length %d, %d bytes are left", name, size, len(rest)-8)
			}
			value, rest = rest[8:8+size], rest[8+size+1:]
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("%q is listed twice", name)
		}
		fields[name] = value
		data = rest
	}
	return fields, nil
}

func TestSend(t *testing.T) {
	const id = "6d3b0c7e1f5a4c0c9e3a2f7b8d41c960"
	tests := []struct {
		name  string
		entry Entry
		want  map[string]string
		file  bool
	}{
		{
			name:  "plain",
			entry: Entry{Priority: 5, MessageID: id, Message: "locked", Fields: map[string]string{"IMMUTRAY_VERB": "lock"}},
			want:  map[string]string{"PRIORITY": "5", "MESSAGE_ID": id, "MESSAGE": "locked", "IMMUTRAY_VERB": "lock"},
		},
		{
			name:  "no id, no fields",
			entry: Entry{Priority: 0, Message: ""},
			want:  map[string]string{"PRIORITY": "0", "MESSAGE": ""},
		},
		{
			name:  "a value of several lines that looks like a field",
			entry: Entry{Priority: 6, Message: "m", Fields: map[string]string{"A": "x\nPRIORITY=0\n"}},
			want:  map[string]string{"PRIORITY": "6", "MESSAGE": "m", "A": "x\nPRIORITY=0\n"},
		},
		{
			name:  "equals signs",
			entry: Entry{Priority: 6, Message: "a=b", Fields: map[string]string{"A": "=b="}},
			want:  map[string]string{"PRIORITY": "6", "MESSAGE": "a=b", "A": "=b="},
		},
		{
			name:  "control characters in the message",
			entry: Entry{Priority: 6, Message: "a\n\x1b[31mb\x00\u0085\xffé"},
			want:  map[string]string{"PRIORITY": "6", "MESSAGE": `a\n\x1b[31mb\x00\u0085\xffé`},
		},
		{
			name:  "too large for a datagram",
			entry: Entry{Priority: 6, Message: "m", Fields: map[string]string{"A": strings.Repeat("x\n", 4<<20)}},
			want:  map[string]string{"PRIORITY": "6", "MESSAGE": "m", "A": strings.Repeat("x\n", 4<<20)},
			file:  true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			journald := listen(t)
			if err := sendTo(journald.path, test.entry); err != nil {
				t.Fatal(err)
			}
			got, inFile := journald.receive(t)
			test.want["SYSLOG_IDENTIFIER"] = "immutray-helper"
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("sent %.300q, want %.300q", got, test.want)
			}
			if inFile != test.file {
				t.Errorf("sent in a file: %t, want %t", inFile, test.file)
			}
		})
	}
}

func TestSendRefuses(t *testing.T) {
	journald := listen(t)
	for _, name := range []string{"", "lower", "_UID", "1A", "A B", "A=B", "A\n", "Ä", "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "MESSAGE_ID", strings.Repeat("A", 65)} {
		err := sendTo(journald.path, Entry{Message: "m", Fields: map[string]string{name: "v"}})
		if err == nil || !strings.HasPrefix(err.Error(), "cannot write to the journal: journal field ") {
			t.Errorf("sendTo(field %q) = %v, want a refusal", name, err)
		}
	}
	for _, priority := range []int{-1, 8} {
		if err := sendTo(journald.path, Entry{Priority: priority}); err == nil {
			t.Errorf("sendTo(priority %d) = nil, want a refusal", priority)
		}
	}
}

func TestSendWithoutJournal(t *testing.T) {
	err := sendTo(filepath.Join(t.TempDir(), "socket"), Entry{Message: "m"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("sendTo() without a socket = %v, want that it does not exist", err)
	}
}

// A journald that hangs must not hang the helper.
func TestSendToFullSocket(t *testing.T) {
	journald := listen(t)
	for i := range 10000 {
		err := sendTo(journald.path, Entry{Message: "m"})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			t.Fatalf("record %d: %v, want the deadline to pass", i, err)
		}
	}
	t.Fatal("the socket never filled up")
}
