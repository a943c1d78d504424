package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	const text = `
# Everything, in every way of writing it.
	paths = [ "/", '/etc',
	  "/srv/a\tb\u00e9\U0001F512\\\"", # the last comma may stay
	]
islands=[]# none
optional_islands = ["/opt"]
allow_readonly = ['/var/tmp']
drain = "1m30s"
unlock_default = "until-locked"
unlock_max = "until-locked"
relock_on = ["screen-lock", 'sleep']
state_dir = "/run/other"`
	want := Config{
		Paths:           []string{"/", "/etc", "/srv/a\tbé🔒\\\""},
		Islands:         []string{},
		OptionalIslands: []string{"/opt"},
		AllowReadonly:   []string{"/var/tmp"},
		Drain:           90 * time.Second,
		UnlockDefault:   UntilLocked,
		UnlockMax:       UntilLocked,
		RelockOn:        []Occasion{ScreenLock, Sleep},
		StateDir:        "/run/other",
	}
	for name, text := range map[string]string{
		"LF":   text,
		"CRLF": strings.ReplaceAll(text, "\n", "\r\n"),
	} {
		got, err := Parse(strings.NewReader(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Parse() = %+v, %v, want %+v", name, got, err, want)
		}
	}
	for _, empty := range []string{"", "\n", "# nothing", "\r\n"} {
		if got, err := Parse(strings.NewReader(empty)); err != nil || !reflect.DeepEqual(got, Default()) {
			t.Errorf("Parse(%q) = %+v, %v, want the defaults", empty, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		// what the keys hold
		{"unknown key", "drian = \"5s\"", "line 1: unknown key drian; did you mean drain?"},
		{"unknown key like none", "colour = \"red\"", "line 1: unknown key colour; known keys are paths, islands, optional_islands, allow_readonly, drain, unlock_default, unlock_max, relock_on, log_command_lines, state_dir"},
		{"key of a later version", "repaint = [\"sleep\"]", "line 1: unknown key repaint; known keys are"},
		{"key twice", "drain = \"5s\"\n\ndrain = \"6s\"", "line 3: key drain is there already, in line 1"},
		{"relative path", `paths = ["etc"]`, `line 1: paths: "etc" is not an absolute path; it must begin with /`},
		{"path with ..", `paths = ["/srv/../etc"]`, `line 1: paths: "/srv/../etc" contains ..; write the path without it`},
		{"path ending in ..", `paths = ["/srv/.."]`, "contains .."},
		{"path with .", `paths = ["/./etc"]`, `"/./etc" must be written as "/etc"`},
		{"slash at the end", `paths = ["/etc/"]`, `"/etc/" must be written as "/etc"`},
		{"slash twice", `paths = ["//etc"]`, `"//etc" must be written as "/etc"`},
		{"empty path", `paths = [""]`, "line 1: paths: a path is empty"},
		{"path twice", `paths = ["/etc", "/", "/etc"]`, `"/etc" is there twice`},
		{"no path", "paths = []", "line 1: paths: it names no path; leave the key out for the default"},
		{"one path", `paths = "/"`, `line 1: paths: it must be a list of texts, such as ["/", "/etc"]`},
		{"relative island", "\nislands = [\"home\"]", `line 2: islands: "home" is not an absolute path`},
		{"relative exception", `allow_readonly = ["tmp"]`, `line 1: allow_readonly: "tmp" is not an absolute path`},
		{"drain without a unit", `drain = "5"`, `line 1: drain: it must be a time with its unit in quotes, such as "5s"`},
		{"drain without quotes", "drain = 5", "line 1: drain: it must be a time with its unit"},
		{"negative drain", `drain = "-1s"`, "line 1: drain: it must be between 0s and 10m"},
		{"long drain", `drain = "11m"`, "line 1: drain: it must be between 0s and 10m"},
		{"short window", `unlock_default = "59s"`, "line 1: unlock_default: it must be between 1m and 720h, or \"until-locked\""},
		{"long window", `unlock_max = "721h"`, "line 1: unlock_max: it must be between 1m and 720h"},
		{"window of nothing", `unlock_max = "0"`, "line 1: unlock_max: it must be between 1m and 720h"},
		{"window without quotes", "unlock_max = 4", "line 1: unlock_max: it must be a time with its unit in quotes, such as \"30m\", or \"until-locked\""},
		{"window in words", `unlock_default = "forever"`, "line 1: unlock_default: it must be a time with its unit in quotes"},
		{"default above the most", "unlock_default = \"2h\"\nunlock_max = \"1h\"", "unlock_default is longer than unlock_max"},
		{"endless default above the most", "unlock_default = \"until-locked\"\nunlock_max = \"720h\"", "unlock_default is longer than unlock_max"},
		{"unknown occasion", `relock_on = ["sleep", "hibernate"]`, `line 1: relock_on: "hibernate" is not one of "sleep", "logout", "screen-lock"`},
		{"occasion in capitals", `relock_on = ["Sleep"]`, `line 1: relock_on: "Sleep" is not one of`},
		{"empty occasion", `relock_on = [""]`, `line 1: relock_on: "" is not one of`},
		{"occasion twice", `relock_on = ["sleep", "logout", "sleep"]`, `line 1: relock_on: "sleep" is there twice`},
		{"one occasion", `relock_on = "sleep"`, "line 1: relock_on: it must be a list of texts"},
		{"occasion without quotes", "relock_on = true", "line 1: relock_on: it must be a list of texts"},
		{"relative state directory", `state_dir = "run"`, `line 1: state_dir: "run" is not an absolute path`},
		{"state directory /", `state_dir = "/"`, "line 1: state_dir: it must be a directory of its own, not /"},
		{"state directory in a list", `state_dir = ["/run"]`, "line 1: state_dir: it must be a text in quotes"},
		{"state directory protected", "state_dir = \"/etc\"", "state_dir /etc is a protected path; it must stay writable"},

		// what TOML has and we don't
		{"section", "\n[immutray]\n", "line 2: sections such as [name] are not used here"},
		{"sections", "[[immutray]]", "line 1: sections such as [name] are not used here"},
		{"dotted key", "a.b = 1", "line 1: keys with a dot are not used here"},
		{"dotted key with blanks", "a . b = 1", "line 1: keys with a dot are not used here"},
		{"quoted key", `"paths" = []`, "line 1: write the key without quotes"},
		{"text over lines", "drain = \"\"\"\n5s\"\"\"", `line 1: texts over several lines (""") are not used here`},
		{"literal text over lines", "drain = '''5s'''", "line 1: texts over several lines (''') are not used here"},
		{"number with a point", "drain = 1.5", `line 1: "1.5" is not a value known here; a value is "text", a whole number, true, false, or a list`},
		{"date", "drain = 1979-05-27", `line 1: "1979-05-27" is not a value known here`},
		{"hexadecimal number", "drain = 0x10", "is not a value known here"},
		{"number with underscores", "drain = 1_000", "is not a value known here"},
		{"number with a leading zero", "drain = 05", "is not a value known here"},
		{"number with two signs", "drain = -+5", "is not a value known here"},
		{"huge number", "drain = 9223372036854775808", "is not a value known here"},
		{"infinity", "drain = inf", "is not a value known here"},
		{"inline table", "drain = {a = 1}", "line 1: tables are not used here"},
		{"list of numbers", "paths = [1]", "line 1: expected a text in quotes or ] in the list, found '1'"},
		{"list of lists", `paths = [["/"]]`, "expected a text in quotes or ] in the list, found '['"},

		// what is no TOML
		{"no value", "drain =\n", "line 1: the value is missing"},
		{"no value but a comment", "drain = # soon", "line 1: the value is missing"},
		{"no equals sign", "drain \"5s\"", `line 1: expected = after drain, found '"'`},
		{"a key alone", "\n\ndrain", "line 3: expected = after drain, found end of the file"},
		{"no key", "= 5", "line 1: expected a key, found '='"},
		{"two keys in a line", `drain = "5s" paths = ["/"]`, "line 1: unexpected 'p' after the value"},
		{"text without an end", "\ndrain = \"5s\n", `line 2: the closing " is missing`},
		{"literal text without an end", "drain = '5s", "line 1: the closing ' is missing"},
		{"list without an end", "\npaths = [\"/\",\n", "line 3: expected a text in quotes or ] in the list, found end of the file"},
		{"list without commas", "paths = [\"/\"\n\"/etc\"]", "line 2: expected , or ] in the list, found '\"'"},
		{"list of commas", "paths = [,]", "expected a text in quotes or ] in the list, found ','"},
		{"unknown escape", `drain = "\x41"`, `line 1: unknown escape \'x' in "…"`},
		{"escaped end of line", "drain = \"\\\n\"", "line 1: a text can't go on in the next line"},
		{"short code point", `drain = "\u12"`, `line 1: \u needs 4 hexadecimal digits`},
		{"signed code point", `drain = "\u+123"`, `line 1: \u needs 4 hexadecimal digits`},
		{"surrogate", `drain = "\ud800"`, `line 1: \ud800 is no character`},
		{"beyond Unicode", `drain = "\U00110000"`, `line 1: \U00110000 is no character`},
		{"NUL escaped", `state_dir = "/run\u0000"`, `line 1: \u0000 is no character`},
		{"NUL", "# a\x00b", "line 1: control character 0x00"},
		{"control character", "\n# a\x1bb", "line 2: control character 0x1b"},
		{"DEL", "# \x7f", "line 1: control character 0x7f"},
		{"carriage return alone", "# a\rb", "line 1: control character 0x0d"},
		{"carriage return at the end", "# a\r", "line 1: control character 0x0d"},
		{"byte order mark", "\xef\xbb\xbfdrain = \"5s\"", "line 1: expected a key, found '\\ufeff'"},
		{"not UTF-8", "\npaths = [\"/srv/\xff\"]", "line 2: this is not UTF-8 text"},
		{"too large", strings.Repeat("#", maxSize+1), "it is larger than 64 KiB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Parse(strings.NewReader(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse(%q) = %v, want an error with %q", test.text, err, test.want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	table, err := ParseTable(strings.NewReader("count = -12\nclick = 'lock'\nremind = true\nquiet = false\nzero = +0\n"))
	if err != nil {
		t.Fatal(err)
	}
	var count, zero int64
	var click string
	var remind, quiet bool
	keys := []Key{
		{"count", func(v Value) (err error) { count, err = v.Number(); return }},
		{"zero", func(v Value) (err error) { zero, err = v.Number(); return }},
		{"click", func(v Value) (err error) { click, err = v.Text(); return }},
		{"remind", func(v Value) (err error) { remind, err = v.Bool(); return }},
		{"quiet", func(v Value) (err error) { quiet, err = v.Bool(); return }},
	}
	if err := table.Apply(keys); err != nil {
		t.Fatal(err)
	}
	if count != -12 || zero != 0 || click != "lock" || !remind || quiet {
		t.Errorf("got %d, %d, %q, %t, %t", count, zero, click, remind, quiet)
	}
	keys[0].Set = func(v Value) error { _, err := v.Bool(); return err }
	if err := table.Apply(keys); err == nil || err.Error() != "line 1: count: it must be true or false, without quotes" {
		t.Errorf("Apply() with a number for a bool = %v", err)
	}
	if err := table.Apply(keys[1:]); err == nil || !strings.Contains(err.Error(), "line 1: unknown key count") {
		t.Errorf("Apply() without the key count = %v", err)
	}
}

func TestDuration(t *testing.T) {
	for _, d := range []struct {
		value time.Duration
		want  string
	}{{0, "0s"}, {10 * time.Minute, "10m"}, {24 * time.Hour, "24h"}, {90 * time.Second, "1m30s"}, {30 * time.Second, "30s"}} {
		if got := Short(d.value); got != d.want {
			t.Errorf("Short(%v) = %q, want %q", d.value, got, d.want)
		}
	}
}
