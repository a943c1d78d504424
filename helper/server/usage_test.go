package server

import (
	"strings"
	"testing"

	"immutray.org/helper"
)

// What is no command line of the helper's is answered like a request, put on record, and
// nothing is done.
func TestRefusedCommandLine(t *testing.T) {
	for _, test := range []struct {
		args []string
		verb helper.Verb
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"x", "explode"}, ""},
		{[]string{"x", strings.Repeat("x", 1<<20)}, ""},
		{[]string{"x", "\x1b[31m\n"}, ""},
		{[]string{"x", "lock", "/etc"}, helper.Lock},
		{[]string{"x", "unlock", "--for", "30"}, helper.Unlock},
		{[]string{"x", "lock", "--work", "--on", strings.Repeat("x", 1<<20)}, helper.Lock},
		{[]string{"x", "seal", "--work"}, helper.Seal},
	} {
		_, err := helper.ParseCommandLine(test.args)
		if err == nil {
			t.Fatalf("%.60q is a command line", test.args)
		}
		f := newFixture(t)
		if code := f.server.serve(t.Context(), test.args, nil); code != helper.ExitUsage {
			t.Errorf("%.60q: exit %d, want %d", test.args, code, helper.ExitUsage)
		}
		if r := parseOutput(t, f.out.String()); r.Outcome != helper.Usage || r.Error != err.Error() || r.Request.Verb != test.verb || f.out.Len() > 1000 {
			t.Errorf("%.60q: result %.1000v", test.args, r)
		}
		if !strings.Contains(f.err.String(), "\nusage: immutray-helper lock|lock-force|unlock|seal|unseal [") {
			t.Errorf("%.60q: standard error has no usage: %q", test.args, f.err.String())
		}
		if len(f.worked) > 0 || len(f.records) != 1 || f.records[0].MessageID != MessageDenied {
			t.Errorf("%.60q: worked %v, journal %+v, want a denial in the journal and no work", test.args, f.worked, f.records)
		}
	}
}
