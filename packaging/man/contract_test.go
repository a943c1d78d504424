package man

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/doctor"
)

func source(t *testing.T, page string) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// section returns a part of a page's source.
func section(t *testing.T, page, begin, end string) string {
	t.Helper()
	_, rest, ok := strings.Cut(source(t, page), begin)
	if !ok {
		t.Fatalf("%s has no %q", page, begin)
	}
	part, _, _ := strings.Cut(rest, end)
	return part
}

func matches(pattern, text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// Whatever the pages name of what is installed is installed under that name.
func TestInstalledPaths(t *testing.T) {
	out, err := exec.Command("make", "--no-print-directory", "-C", "../..", "--eval", "installed: ; @printf '%s\\n' $(INSTALLED)", "installed").Output()
	if err != nil {
		t.Fatal(err)
	}
	installed := map[string]bool{}
	for _, entry := range strings.Fields(string(out)) {
		target := strings.Split(entry, ":")[1]
		installed[target] = true
		installed[filepath.Base(target)] = true
	}
	count := 0
	for _, page := range pages {
		text := source(t, page)
		named := append(matches(`\.(?:It )?Pa (/usr/\S+|/etc/xdg/\S+)`, text), matches(`\b(immut[a-z-]+@?\.(?:service|path|timer))\b`, text)...)
		count += len(named)
		for _, name := range named {
			if !installed[name] {
				t.Errorf("%s names %s, which is not installed", page, name)
			}
		}
	}
	if count < 8 {
		t.Errorf("only %d names were found", count)
	}
}

// tags returns the JSON keys of a struct.
func tags(of any) []string {
	var keys []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// Every key of root's configuration is in the manual, with its default where that is a list.
func TestConfigurationKeys(t *testing.T) {
	manual := section(t, "immutectl.1", `.Bl -tag -width "unlock_default" -compact`, "\n.El")
	keys := slices.DeleteFunc(tags(config.Config{}), func(key string) bool { return key == "on_btrfs" }) // found out, not set
	if got := matches(`(?m)^\.It Cm (\w+)$`, manual); !slices.Equal(got, keys) {
		t.Errorf("the manual has the keys %q, want %q", got, keys)
	}
	for key, want := range map[string][]string{"islands": config.Default().Islands, "optional_islands": config.Default().OptionalIslands} {
		part := section(t, "immutectl.1", "\n.It Cm "+key+"\n", "\n.It")
		if got := matches(`(?m)^\.Pa (\S+)`, part); !slices.Equal(got, want) {
			t.Errorf("the manual has these %s: %q, want %q", key, got, want)
		}
	}
}

// Every key of a person's settings that the applet's help has is in its manual.
func TestSettingsOfThePerson(t *testing.T) {
	manual := section(t, "immutray.1", `.Bl -tag -width "remind_first" -compact`, "\n.El")
	got := matches(`(?m)^\.It Cm (\w+)$`, manual)
	if want := matches(`(?m)^  ([a-z_]+) += "`, help(t, build(t, "immutray"))); len(want) < 5 || !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("the manual has the keys %q, want %q", got, want)
	}
}

// Each outcome and its exit status is in the manual of the helper.
func TestOutcomes(t *testing.T) {
	files, err := filepath.Glob("../../helper/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for _, file := range files {
		outcomes = append(outcomes, matches(`Outcome += "([a-z-]+)"`, source(t, file))...)
	}
	if len(outcomes) < 8 {
		t.Fatalf("only these outcomes were found: %q", outcomes)
	}
	words := section(t, "immutray-helper.8", "\n.It Ev IMMUTRAY_OUTCOME\n", "\n.It")
	if got := matches(`(?m)^\.Ql ([a-z-]+)`, words); !slices.Equal(sorted(got), sorted(outcomes)) {
		t.Errorf("the manual has the outcomes %q, want %q", got, outcomes)
	}
	codes := map[string]string{}
	for _, m := range regexp.MustCompile(`\n\.It (\d)\n(.*)`).FindAllStringSubmatch(section(t, "immutray-helper.8", "\n.Sh EXIT STATUS", "\n.Sh"), -1) {
		codes[m[1]] = m[2]
	}
	for outcome, says := range map[helper.Outcome]string{
		helper.Done: "done", helper.Failed: "failed", helper.Usage: "command line", helper.Blocked: "blocked",
		helper.NotPrepared: "must stay writable", helper.PackageManager: "package manager",
		helper.ConfigRefused: "configuration", helper.TooLong: "longer than is allowed",
	} {
		code := string(rune('0' + outcome.ExitCode()))
		if !strings.Contains(codes[code], says) {
			t.Errorf("%s ends with %s, for which the manual says %q, want %q", outcome, code, codes[code], says)
		}
	}
}

// Scripts rely on the JSON keys that the manual names.
func TestKeysOfJSON(t *testing.T) {
	for _, c := range []struct {
		command string
		keys    []string
		of      []any
	}{
		{"status", []string{"still_read_only", "on_top", "overdue"}, []any{helper.Status{}, helper.PathStatus{}}},
		{"status", []string{"unit", "program", "pid"}, []any{helper.Bystander{}}},
		{"status", []string{"outcome", "error", "writers", "holder", "more_writers"}, []any{helper.Overdue{}}},
		{"writers", []string{"kind", "path", "protected"}, []any{helper.Writer{}}},
	} {
		part := section(t, "immutectl.1", "\n.It Cm "+c.command+" ", "\n.It Cm ")
		var has []string
		for _, of := range c.of {
			has = append(has, tags(of)...)
		}
		for _, key := range c.keys {
			if !regexp.MustCompile(`\n\.(Ql|Cm) ` + key + `\b`).MatchString(part) {
				t.Errorf("%s: the manual lacks the key %s", c.command, key)
			}
			if !slices.Contains(has, key) {
				t.Errorf("%s: there is no key %s: %q", c.command, key, has)
			}
		}
	}
	_, list, _ := strings.Cut(section(t, "immutectl.1", "\n.It Cm writers ", "\n.It Cm "), "\n.Cm kind\n")
	list, _, _ = strings.Cut(list, "neither")
	kinds := matches(`(?m)^\.Cm ([a-z]+) ,$`, list)
	want := []string{string(helper.WriterFile), string(helper.WriterMapping), string(helper.WriterLoop), string(helper.WriterSwap), string(helper.WriterUnknown)}
	if !slices.Equal(kinds, want) {
		t.Errorf("the manual has the kinds of writers %q, want %q", kinds, want)
	}
}

// Every key of every JSON that immutectl prints is in the manual, and no other.
func TestEveryKeyIsInTheManual(t *testing.T) {
	general := section(t, "immutectl.1", "\n.Sh JSON\n", "\n.Sh ") + "\n.Ss "
	for title, of := range map[string][]any{
		"The state": {helper.Status{}}, "A protected path": {helper.PathStatus{}}, "A window": {helper.Window{}},
		"An overdue window": {helper.Overdue{}}, "A command of run": {helper.Run{}}, "Writers": {helper.Writer{}},
		"The doctor": {doctor.Finding{}},
	} {
		_, part, found := strings.Cut(general, "\n.Ss "+title+"\n")
		part, _, _ = strings.Cut(part, "\n.Ss ")
		var want []string
		for _, v := range of {
			want = append(want, tags(v)...)
		}
		if got := matches(`(?m)^\.It Cm (\w+)$`, part); !found || !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("%s: the manual has the keys %q, want %q", title, got, want)
		}
	}
	var named []string
	for _, line := range matches(`(?m)^\.It Cm (\w.*)$`, section(t, "immutray-helper.8", "\n.Sh RESULT\n", "\n.Sh ")) {
		named = append(named, strings.Split(line, " , ")...)
	}
	if want := tags(helper.Result{}); !slices.Equal(sorted(named), sorted(want)) {
		t.Errorf("the manual of the helper has the keys %q, want %q", named, want)
	}
	// Package main has the rest.
	for _, file := range []string{"history.go", "config.go", "json.go"} {
		for _, key := range matches("`json:\"(\\w+)\"`", source(t, "../../cmd/immutectl/"+file)) {
			if !regexp.MustCompile(`(?m)^\.(It )?Cm ` + key + `\b`).MatchString(general) {
				t.Errorf("%s: the manual lacks the key %s", file, key)
			}
		}
	}
}
