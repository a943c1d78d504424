package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"immutray.org/helper"
)

// FuzzParseTable looks for errors that are more than one line of text.
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
		"", "a=1", "a = \"\\u00e9\"", "a='\\'\r\n", "a=[ # x\n'b' , ]#", "1 = 2", "a=\"\t\"", "a = 1 # \x7f", "\xef\xbb\xbfa=1",
		"\"\\n\" = 1", "a=1\r", "a = \"\\U0010FFFF\"", "a=00", "true=false", "[a.b]\nc=1", "a={b={}}", "a=\"\"\"\n\"\"\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table, err := ParseTable(strings.NewReader(text))
		if err == nil {
			err = table.Apply([]Key{{"a", func(v Value) error { _, err := v.Texts(); return err }}})
		}
		if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("ParseTable(%q): the error %q is not one line of text", text, err)
		}
	})
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
		if len(c.Paths) == 0 || c.Drain < 0 || c.Drain > helper.MaxDrain {
			t.Errorf("Parse(%q) = %+v", text, c)
		}
		for _, p := range slices.Concat([]string{c.StateDir}, c.Paths, c.Islands, c.OptionalIslands, c.AllowReadonly) {
			if !filepath.IsAbs(p) || filepath.Clean(p) != p || strings.Contains(p, "\x00") {
				t.Errorf("Parse(%q) takes the path %q", text, p)
			}
		}
	})
}
