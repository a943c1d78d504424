package client

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

// What claims to be the helper may answer anything, in pieces of any size.
func FuzzAnswer(f *testing.F) {
	f.Add(helper.Handshake+"\n"+`{"request":{"verb":"lock"},"outcome":"done"}`+"\n", "", 0, 7)
	f.Add(helper.Handshake+"\n{\n", "words", 1, 1)
	f.Add("immutray-helper 2\n", "", 0, 3)
	f.Add("", "Error executing command as another user: Request dismissed\n", 126, 1)
	f.Add("", "Error executing command as another user: Not authorized\n\nThis incident has been reported.\n", 127, 1)
	f.Fuzz(func(t *testing.T, text, stderr string, exitCode, piece int) {
		out := newAnswer()
		for rest := text; rest != ""; {
			n := min(len(rest), max(1, piece%4096))
			if written, err := out.Write([]byte(rest[:n])); written != n || err != nil {
				t.Fatalf("Write() = %d, %v; who writes must not be held up", written, err)
			}
			rest = rest[n:]
		}
		greeted := strings.HasPrefix(text, helper.Handshake+"\n")
		if out.hasBegun() != greeted {
			t.Errorf("hasBegun() = %v of %q", out.hasBegun(), text)
		}
		result, err := new(Client).judge(helper.Lock, out, exitCode, stderr, false)
		switch {
		case result == nil && err == nil:
			t.Error("judge() returns neither a result nor an error")
		case result != nil && !greeted:
			t.Errorf("judge() believes %q", text)
		case err == nil && result.Outcome != helper.Done:
			t.Errorf("judge() returns no error for %s", result.Outcome)
		case err == nil && result.Request.Verb != helper.Lock:
			t.Errorf("judge() takes the answer to %s for that to %s", result.Request.Verb, helper.Lock)
		}
		if err != nil && strings.ContainsAny(firstLine(stderr), "\n") {
			t.Errorf("firstLine() = %q", firstLine(stderr))
		}
	})
}
