package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// FuzzParseTable holds the parser against a whole one: what ours accepts is TOML, and
// means the same there.
func FuzzParseTable(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range seeds {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, seed := range []string{
		"", "a=1", "a = \"\\u00e9\"", "a='\\'\r\n", "a=[ # x\n'b' , ]#", "a=+0", "a=-0", "a=[]\nb=true",
		"1 = 2", "- = -1", "a=\"\t\"", "a = 1 # \x7f", "\xef\xbb\xbfa=1", "a=[\n\n\"x\"\r\n,\n]", "a = \"\\b\\t\\n\\f\\r\\\"\\\\\"",
		"a=9223372036854775807", "a=-9223372036854775808", "a=1\r", "a = \"\\U0010FFFF\"", "a=00", "true=false",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table, err := ParseTable(strings.NewReader(text))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Errorf("ParseTable(%q): the error %q is not one line of text", text, err)
			}
			return
		}
		ours := map[string]any{}
		for _, e := range table.entries {
			ours[e.key] = e.value.plain()
		}
		theirs := map[string]any{}
		if _, err := toml.Decode(text, &theirs); err != nil {
			t.Fatalf("ParseTable(%q) accepts what is no TOML: %v", text, err)
		}
		if !reflect.DeepEqual(ours, theirs) {
			t.Errorf("ParseTable(%q) = %#v, TOML means %#v", text, ours, theirs)
		}
	})
}

// plain returns the value as the other parser does.
func (v Value) plain() any {
	switch v.kind {
	case textValue:
		return v.text
	case numberValue:
		return v.number
	case boolValue:
		return v.flag
	}
	list := []any{}
	for _, s := range v.list {
		list = append(list, s)
	}
	return list
}

// FuzzParse looks for what would be protected although no careful person wrote it.
func FuzzParse(f *testing.F) {
	f.Add(`paths = ["/", "/etc"]`)
	f.Add(`paths = ["/./.."]`)
	f.Add("drain = \"9m59s\"\nstate_dir = '/x'\nislands = ['/home']")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(c.Paths) == 0 || c.Drain < 0 || c.Drain > MaxDrain {
			t.Errorf("Parse(%q) = %+v", text, c)
		}
		for _, p := range slices.Concat([]string{c.StateDir}, c.Paths, c.Islands, c.OptionalIslands, c.AllowReadonly) {
			if !filepath.IsAbs(p) || filepath.Clean(p) != p || strings.Contains(p, "\x00") {
				t.Errorf("Parse(%q) takes the path %q", text, p)
			}
		}
	})
}
