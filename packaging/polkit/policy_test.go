// Package polkit holds the policy file, which says what the helper may be
// asked. It has no code, only a test of the file.
package polkit

import (
	"bufio"
	"encoding/xml"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"immutray.org/helper"
)

const file = "org.immutray.policy"

type policy struct {
	Vendor    string   `xml:"vendor"`
	VendorURL string   `xml:"vendor_url"`
	Actions   []action `xml:"action"`
}

type action struct {
	ID          string   `xml:"id,attr"`
	Description []string `xml:"description"`
	Message     []string `xml:"message"`
	Icon        string   `xml:"icon_name"`
	Any         string   `xml:"defaults>allow_any"`
	Inactive    string   `xml:"defaults>allow_inactive"`
	Active      string   `xml:"defaults>allow_active"`
	Annotations []struct {
		Key   string `xml:"key,attr"`
		Value string `xml:",chardata"`
	} `xml:"annotate"`
}

func read(t *testing.T) (policy, string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var p policy
	if err := xml.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	return p, string(data)
}

func TestActions(t *testing.T) {
	p, _ := read(t)
	if p.Vendor == "" || !strings.HasPrefix(p.VendorURL, "https://") {
		t.Errorf("vendor %q, vendor_url %q", p.Vendor, p.VendorURL)
	}
	want := map[string][]string{
		"org.immutray.lock":       {"auth_admin", "auth_admin", "yes", "immutray-locked", "Authentication is required to lock the operating system"},
		"org.immutray.lock-force": {"auth_admin", "auth_admin", "auth_admin", "immutray-locked", "Authentication is required to lock the operating system although programs are writing to it"},
		"org.immutray.unlock":     {"auth_admin", "auth_admin", "auth_admin", "immutray-unlocked", "Authentication is required to make the operating system writable"},
	}
	got := map[string][]string{}
	for _, a := range p.Actions {
		if len(a.Description) != 1 || len(a.Message) != 1 {
			t.Fatalf("%s: descriptions %q, messages %q, want one of each", a.ID, a.Description, a.Message)
		}
		got[a.ID] = []string{a.Any, a.Inactive, a.Active, a.Icon, a.Message[0]}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("actions %q, want %q", got, want)
	}
}

// One action without argv1, or a second one for a verb, would make it a matter of
// chance which of them pkexec uses. Annotations beyond these would give more than is
// needed: allow_gui a display, imply another right.
func TestActionsAreBoundToVerbs(t *testing.T) {
	p, _ := read(t)
	for _, a := range p.Actions {
		got := map[string]string{}
		for _, n := range a.Annotations {
			got[n.Key] = n.Value
		}
		verb := strings.TrimPrefix(a.ID, "org.immutray.")
		want := map[string]string{
			"org.freedesktop.policykit.exec.path":  helper.HelperPath,
			"org.freedesktop.policykit.exec.argv1": verb,
		}
		if !reflect.DeepEqual(got, want) || len(a.Annotations) != len(want) {
			t.Errorf("%s: annotations %q, want %q", a.ID, got, want)
		}
		if v, ok := helper.ParseVerb(verb); !ok || v.AtBoot() {
			t.Errorf("%s: the helper has no verb %q for users", a.ID, verb)
		}
	}
}

// What an attacker can put into the administrator's dialog, he will.
func TestMessagesAreFixed(t *testing.T) {
	p, _ := read(t)
	for _, a := range p.Actions {
		if strings.ContainsAny(a.Message[0]+a.Description[0], "$%") {
			t.Errorf("%s: message %q, description %q, want no variables", a.ID, a.Message[0], a.Description[0])
		}
	}
}

// Every action argues its defaults: what if they are lowered, what if they are raised.
func TestActionsArgueTheirDefaults(t *testing.T) {
	_, text := read(t)
	parts := strings.Split(text, "<action id=")
	for i := range parts[1:] {
		_, comment, _ := strings.Cut(parts[i], "SECURITY:")
		for _, part := range []string{"If it is lowered", "If it is raised"} {
			if !strings.Contains(comment, part) {
				t.Errorf("action %d has no SECURITY: comment with %q", i+1, part)
			}
		}
	}
}

// polkit compares the path that pkexec is given with the one in the file.
func TestHelperIsInstalledThere(t *testing.T) {
	variables := makeVariables(t, "../../Makefile")
	if got := variables("$(LIBEXECDIR)/immutray-helper"); got != helper.HelperPath {
		t.Errorf("the Makefile installs the helper as %s, want %s", got, helper.HelperPath)
	}
	if got := variables("$(POLKITDIR)"); got != "/usr/share/polkit-1/actions" {
		t.Errorf("the Makefile installs the policy in %s, where polkit before version 126 does not look", got)
	}
}

// makeVariables returns a function that expands the variables which a Makefile sets
// with ?=.
func makeVariables(t *testing.T, name string) func(string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "?="); ok {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	reference := regexp.MustCompile(`\$\((\w+)\)`)
	return func(text string) string {
		for range len(values) {
			text = reference.ReplaceAllStringFunc(text, func(r string) string { return values[r[2:len(r)-1]] })
		}
		return text
	}
}
