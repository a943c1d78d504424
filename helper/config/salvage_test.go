package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSalvage(t *testing.T) {
	tests := []struct {
		name, text string
		used       string
		errs       []string
	}{
		{"nothing wrong", "a = 'x'\nb = 'y'", "a=x b=y", nil},
		{"three of four", "a = 'x'\nc = 'y'\nb = 3\na = 'z'\nb 4", "a=x", []string{
			"line 2: unknown key c; did you mean a?", "line 3: b: it must be a text", "line 4: a: Key 'a' has already been defined.",
			"line 5: expected '.' or '='",
		}},
		{"no quotes", "a = 1h # mine\nb = 'y'", "b=y", []string{"line 1: a: the value must be in quotes"}},
		{"a text without end", "a = 'x\nb = 'y'", "b=y", []string{"line 1: a: strings cannot contain newlines"}},
		{"a text of several lines without end", "a = 'x'\nb = '''\ny\n", "", []string{"line 3: unexpected EOF"}},
		{"too large", strings.Repeat("#", maxSize+1), "", []string{"it is larger than 64 KiB"}},
		{"not UTF-8", "a = 'x'\nb = '\xff'", "a=x", []string{"line 2: b: invalid UTF-8"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			used, errs := salvage(test.text)
			if used != test.used || len(errs) != len(test.errs) {
				t.Fatalf("used %q with the errors %q, want %q and %q", used, errs, test.used, test.errs)
			}
			for i, want := range test.errs {
				if !strings.Contains(errs[i].Error(), want) {
					t.Errorf("error %q, want %q", errs[i], want)
				}
			}
		})
	}
	if used, errs := salvage("a = 'x'\n" + strings.Repeat("?\n", 2*maxWrong)); used != "" || len(errs) != maxWrong+1 {
		t.Errorf("a file of another kind: used %q with %d errors", used, len(errs))
	}
}

// salvage returns what was used of a file that may have the keys a and b.
func salvage(text string) (string, []error) {
	var used []string
	set := func(name string) Key {
		return Key{name, func(v Value) error {
			text, err := v.Text()
			if err == nil {
				used = append(used, fmt.Sprintf("%s=%s", name, text))
			}
			return err
		}}
	}
	errs := Salvage(strings.NewReader(text), []Key{set("a"), set("b")})
	slices.Sort(used)
	return strings.Join(used, " "), errs
}
