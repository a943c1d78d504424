package helper

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanReason(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"none", "", ""},
		{"plain", "new kernel", "new kernel"},
		{"blanks around", "\t new kernel \n", "new kernel"},
		{"other alphabets", "Größe 日本語 ядро", "Größe 日本語 ядро"},
		{"quotes and backslashes", `a "b" \c`, `a "b" \c`},
		{"line break", "a\nlocked for root", `a\nlocked for root`},
		{"terminal sequence", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"C1 control", "a\u009b31m", `a\u009b31m`},
		{"direction of writing", "a\u202etxt.exe\u2066", `a\u202etxt.exe\u2066`},
		{"invisible", "a\u200bb\ufeff\u2028c", `a\u200bb\ufeff\u2028c`},
		{"null", "a\x00b", `a\x00b`},
		{"the longest", strings.Repeat("ä", MaxReason), strings.Repeat("ä", MaxReason)},
		{"the longest to be escaped", "x" + strings.Repeat("\x1b", MaxReason-2) + "x", "x" + strings.Repeat(`\x1b`, MaxReason-2) + "x"},
	} {
		if got, err := CleanReason(test.text); err != nil || got != test.want {
			t.Errorf("%s: CleanReason(%q) = %q, %v, want %q", test.name, test.text, got, err, test.want)
		}
	}
}

func TestCleanReasonRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{strings.Repeat("ä", MaxReason+1), "cannot record the reason: it has 201 characters, 200 are allowed"},
		{strings.Repeat("x", 1<<20), "cannot record the reason: it has 1048576 characters, 200 are allowed"},
		{"a\xff", "cannot record the reason: it is not UTF-8 text"},
		{"\xed\xa0\x80", "cannot record the reason: it is not UTF-8 text"}, // half a surrogate pair
	} {
		if got, err := CleanReason(test.text); err == nil || err.Error() != test.want {
			t.Errorf("CleanReason(%.20q…) = %.40q, %v, want %q", test.text, got, err, test.want)
		}
	}
}

func FuzzCleanReason(f *testing.F) {
	for _, text := range []string{"", "new kernel", "\x1b[31m\n", "\u202e", "\xff", "\\"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := CleanReason(text)
		if err != nil {
			return
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
			t.Errorf("CleanReason(%q) = %q", text, got)
		}
		if again, err := CleanReason(got); utf8.RuneCountInString(got) <= MaxReason && (err != nil || again != got) {
			t.Errorf("CleanReason(%q) = %q, %v: it was clean", got, again, err)
		}
	})
}

// The reason is an argument of its own behind the verb, which polkit looks at.
func TestArgumentsOfARequest(t *testing.T) {
	for _, test := range []struct {
		request Request
		want    []string
	}{
		{Request{Verb: Lock}, []string{"lock"}},
		{Request{Verb: Unlock, Reason: "--for 3h"}, []string{"unlock", "--reason", "--for 3h"}},
		{Request{Verb: Unlock, UntilLocked: true, Reason: "x"}, []string{"unlock", "--until-locked", "--reason", "x"}},
	} {
		if got := (CommandLine{Request: test.request}).Arguments(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("arguments of %+v = %q, want %q", test.request, got, test.want)
		}
	}
}
