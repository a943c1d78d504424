package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
	"immutray.org/helper/text"
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
		RelockOn:        []helper.Occasion{helper.ScreenLock, helper.Sleep},
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
		{"relative path", `paths = ["etc"]`, `line 1: paths: "etc" is not an absolute path; it must begin with /`},
		{"path with ..", `paths = ["/srv/../etc"]`, `line 1: paths: "/srv/../etc" contains ..; write the path without it`},
		{"path ending in ..", `paths = ["/srv/.."]`, "contains .."},
		{"path with .", `paths = ["/./etc"]`, `"/./etc" must be written as "/etc"`},
		{"slash at the end", `paths = ["/etc/"]`, `"/etc/" must be written as "/etc"`},
		{"slash twice", `paths = ["//etc"]`, `"//etc" must be written as "/etc"`},
		{"empty path", `paths = [""]`, "line 1: paths: a path is empty"},
		{"path twice", `paths = ["/etc", "/", "/etc"]`, `"/etc" is listed twice`},
		{"no path", "paths = []", "line 1: paths: it names no path; remove the key to use the default"},
		{"one path", `paths = "/"`, `line 1: paths: it must be a list of texts, such as ["/", "/etc"]`},
		{"relative island", "\nislands = [\"home\"]", `line 2: islands: "home" is not an absolute path`},
		{"relative exception", `allow_readonly = ["tmp"]`, `line 1: allow_readonly: "tmp" is not an absolute path`},
		{"drain without a unit", `drain = "5"`, `line 1: drain: it must be a time with its unit in quotes, such as "5s"`},
		{"drain beyond all", `drain = "999999999d"`, "line 1: drain: it must be between 0s and 10m"},
		{"window beyond all", `unlock_max = "999999999d"`, "line 1: unlock_max: it must be between 1m and 720h"},
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
		{"occasion twice", `relock_on = ["sleep", "logout", "sleep"]`, `line 1: relock_on: "sleep" is listed twice`},
		{"one occasion", `relock_on = "sleep"`, "line 1: relock_on: it must be a list of texts"},
		{"occasion without quotes", "relock_on = true", "line 1: relock_on: it must be a list of texts"},
		{"relative state directory", `state_dir = "run"`, `line 1: state_dir: "run" is not an absolute path`},
		{"state directory /", `state_dir = "/"`, "line 1: state_dir: it must be a directory of its own, not /"},
		{"state directory in a list", `state_dir = ["/run"]`, "line 1: state_dir: it must be a text in quotes"},
		{"state directory protected", "state_dir = \"/etc\"", "state_dir /etc is a protected path; it must stay writable"},

		// what no key is
		{"section", "\n[immutray]\n", "line 2: unknown key immutray; known keys are"},
		{"sections", "[[immutray]]", "line 1: unknown key immutray"},
		{"dotted key", "a.b = 1", "line 1: unknown key a; known keys are"},
		{"key in quotes", `"pa ths" = []`, `line 1: unknown key "pa ths"; did you mean paths?`},
		{"key that is no text", `"\n" = 1`, `unknown key "\n"; known keys are`},
		{"section of a key", "\n[drain]\nfor = 5", "line 2: drain: it must be a time with its unit"},
		{"number", "drain = 1.5", "line 1: drain: it must be a time with its unit"},
		{"date", "drain = 1979-05-27", "line 1: drain: it must be a time with its unit"},
		{"inline table", "drain = {a = 1}", "line 1: drain: it must be a time with its unit"},
		{"list of numbers", "paths = [1]", "line 1: paths: it must be a list of texts"},
		{"list of lists", `paths = [["/"]]`, "line 1: paths: it must be a list of texts"},
		{"NUL escaped", `state_dir = "/run\u0000"`, `line 1: state_dir: it contains \u0000`},
		{"NUL escaped in a list", `paths = ["/\u0000"]`, "line 1: paths: it must be a list of texts"},

		// what is no TOML
		{"key twice", "drain = \"5s\"\n\ndrain = \"6s\"", "line 3: Key 'drain' has already been defined"},
		{"no value", "drain =\n", "line 1: expected value but found '\\n' instead"},
		{"no equals sign", "drain \"5s\"", "line 1: expected '.' or '='"},
		{"two keys in a line", `drain = "5s" paths = ["/"]`, "line 1: expected a top-level item to end with a newline"},
		{"text without an end", "\ndrain = \"5s\n", "line 2: strings cannot contain newlines"},
		{"list without an end", "\npaths = [\"/\",\n", "line 2: unexpected EOF"},
		{"unknown escape", `drain = "\x41"`, "line 1: "},
		{"NUL", "# a\x00b", "line 1: "},
		{"no end after an escape", `"\`, `invalid escape in string '\\x00'`},
		{"control character", "\n# a\x1bb", "line 2: TOML files cannot contain control characters"},
		{"carriage return alone", "# a\rb", "line 1: TOML files cannot contain control characters"},
		{"not UTF-8", "\npaths = [\"/srv/\xff\"]", "line 2: invalid UTF-8"},
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
	table, err := ParseTable(strings.NewReader("click = 'lock'\nremind = true\nquiet = false\n"))
	if err != nil {
		t.Fatal(err)
	}
	var click string
	var remind, quiet bool
	keys := []Key{
		{"click", func(v Value) (err error) { click, err = v.Text(); return }},
		{"remind", func(v Value) (err error) { remind, err = v.Bool(); return }},
		{"quiet", func(v Value) (err error) { quiet, err = v.Bool(); return }},
	}
	if err := table.Apply(keys); err != nil {
		t.Fatal(err)
	}
	if click != "lock" || !remind || quiet {
		t.Errorf("got %q, %t, %t", click, remind, quiet)
	}
	keys[0].Set = func(v Value) error { _, err := v.Bool(); return err }
	if err := table.Apply(keys); err == nil || err.Error() != "line 1: click: it must be true or false, without quotes" {
		t.Errorf("Apply() with a text for a bool = %v", err)
	}
	if err := table.Apply(keys[1:]); err == nil || !strings.Contains(err.Error(), "line 1: unknown key click") {
		t.Errorf("Apply() without the key click = %v", err)
	}
}

func TestDuration(t *testing.T) {
	for _, d := range []struct {
		value time.Duration
		want  string
	}{{0, "0s"}, {10 * time.Minute, "10m"}, {24 * time.Hour, "24h"}, {90 * time.Second, "1m30s"}, {30 * time.Second, "30s"}} {
		if got := text.ExactDuration(d.value); got != d.want {
			t.Errorf("text.ExactDuration(%v) = %q, want %q", d.value, got, d.want)
		}
	}
}
