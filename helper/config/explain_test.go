package config

import (
	"slices"
	"strings"
	"testing"
)

// Each key is shown, and what is shown can be written to a file.
func TestSettingsAreTheKeys(t *testing.T) {
	c := Default()
	var known, shown []string
	for _, k := range c.keys() {
		known = append(known, k.Name)
	}
	for _, s := range c.Settings() {
		shown = append(shown, s.Key)
	}
	if !slices.Equal(shown, known) {
		t.Errorf("Settings has %q, want %q", shown, known)
	}
}

func TestMistakes(t *testing.T) {
	const file = "drain = \"5\"\ncolour = 'red'\npaths = [\"/\"]\nunlock_max = 4\nislands = [home]\n"
	var got []string
	for _, err := range Mistakes(strings.NewReader(file)) {
		got = append(got, err.Error())
	}
	want := []string{"line 1: drain: ", "line 2: unknown key colour", "line 4: unlock_max: ", "line 5: islands: "}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("Mistakes = %q, want %q", got, want)
	}
	for text, want := range map[string]string{
		"unlock_default='2h'\nunlock_max='1h'": "unlock_default is longer than unlock_max",
		"state_dir='/etc'":                     "state_dir /etc is a protected path",
		"":                                     "",
		"paths=['/']":                          "",
	} {
		switch errs := Mistakes(strings.NewReader(text)); {
		case want == "" && len(errs) > 0, want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want)):
			t.Errorf("Mistakes(%q) = %v, want %q", text, errs, want)
		}
	}
}

func TestLines(t *testing.T) {
	lines, err := Lines(strings.NewReader("# x\npaths = ['/']\n\ndrain = '1s'\n"))
	if err != nil || len(lines) != 2 || lines["paths"] != 2 || lines["drain"] != 4 {
		t.Errorf("Lines = %v, %v", lines, err)
	}
}
