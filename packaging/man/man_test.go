// Package man holds the manual pages. It has no code, only a test of them.
package man

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

var pages = []string{"immutectl.1", "immutray.1", "immutray-helper.8"}

func TestPagesAreValid(t *testing.T) {
	lab.Require(t, "mandoc:mandoc")
	for _, page := range pages {
		out, err := exec.Command("mandoc", "-T", "lint", "-W", "warning", page).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", page, err, out)
		}
	}
}

func build(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", program, "immutray.org/cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", name, err, out)
	}
	return program
}

// text returns a page as a person reads it, on one line, with single spaces.
func text(t *testing.T, page string) string {
	t.Helper()
	lab.Require(t, "mandoc:mandoc")
	out, err := exec.Command("mandoc", "-T", "utf8", "-O", "width=1000", page).Output()
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(".\b").ReplaceAllString(string(out), "")
	return strings.Join(strings.Fields(plain), " ")
}

var (
	command = regexp.MustCompile(`(?m)^  ([a-z-]+)  +[A-Z]`)
	flag    = regexp.MustCompile(`--[a-z][a-z-]*`)
	status  = regexp.MustCompile(`(?m)^  ([0-9])  `)
	verb    = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*)  +[a-z]`)
)

// Every command, flag and exit status that the help names is in the manual.
func TestManualHasWhatTheHelpHas(t *testing.T) {
	immutectl := build(t, "immutectl")
	manual := text(t, "immutectl.1")
	data, err := os.ReadFile("immutectl.1")
	if err != nil {
		t.Fatal(err)
	}
	source := string(data)
	general := help(t, immutectl)
	checkStatus(t, "immutectl", general, source[strings.Index(source, "\n.Sh EXIT STATUS"):])
	found := command.FindAllStringSubmatch(general, -1)
	if len(found) < 7 {
		t.Fatalf("only these commands were found in the help: %q", found)
	}
	for _, m := range found {
		name := m[1]
		said := help(t, immutectl, name)
		_, section, ok := strings.Cut(source, "\n.It Cm "+name)
		if !ok {
			t.Errorf("the manual lacks the command %s", name)
			continue
		}
		section, _, _ = strings.Cut(section, "\n.It Cm ")
		checkStatus(t, name, said, section)
		_, flags, _ := strings.Cut(said, "\nOptions:") // examples have other programs' flags too
		for _, f := range flag.FindAllString(flags, -1) {
			if !strings.Contains(manual, f) {
				t.Errorf("%s: the manual lacks the flag %s", name, f)
			}
		}
	}
}

// checkStatus finds every exit status of a help text in the source of the manual.
func checkStatus(t *testing.T, name, help, source string) {
	t.Helper()
	for _, m := range status.FindAllStringSubmatch(help, -1) {
		if !strings.Contains(source, "\n.It "+m[1]+"\n") {
			t.Errorf("%s: the manual lacks the exit status %s", name, m[1])
		}
	}
}

func help(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, append(args, "--help")...).Output()
	if err != nil {
		t.Fatalf("%s %v --help: %v", program, args, err)
	}
	return string(out)
}

// The other programs print their exit codes in other words or not at all; their
// options can be compared.
func TestOptionsOfTheOthers(t *testing.T) {
	applet, err := exec.Command(build(t, "immutray"), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	// It refuses to do anything without a verb, and says what there is.
	refusal, _ := exec.Command(build(t, "immutray-helper")).CombinedOutput()
	for page, said := range map[string]string{"immutray.1": string(applet), "immutray-helper.8": string(refusal)} {
		manual := text(t, page)
		said = strings.Split(said, "\nExample:")[0]
		found := flag.FindAllString(said, -1)
		if len(found) == 0 {
			t.Errorf("%s: no option was found in\n%s", page, said)
		}
		for _, f := range found {
			if !strings.Contains(manual, f) {
				t.Errorf("%s lacks the option %s", page, f)
			}
		}
	}
}

func TestVerbsOfTheHelper(t *testing.T) {
	data, err := os.ReadFile("immutray-helper.8")
	if err != nil {
		t.Fatal(err)
	}
	said, _ := exec.Command(build(t, "immutray-helper")).CombinedOutput()
	var found []string
	for _, m := range verb.FindAllStringSubmatch(string(said), -1) {
		found = append(found, m[1])
		if !strings.Contains(string(data), "\n.It Cm "+m[1]+"\n") {
			t.Errorf("the manual lacks the verb %s", m[1])
		}
	}
	var verbs []string
	for _, v := range helper.Verbs() {
		verbs = append(verbs, string(v))
	}
	if !slices.Equal(found, verbs) {
		t.Errorf("the help has the verbs %q, want %q", found, verbs)
	}
}

func TestEveryPageIsTested(t *testing.T) {
	found, err := filepath.Glob("*.[1-8]")
	if err != nil || !slices.Equal(found, sorted(pages)) {
		t.Errorf("pages here: %q, tested: %q, %v", found, pages, err)
	}
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}
