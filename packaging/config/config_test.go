// Package config holds the example of root's configuration. It has no code, only a
// test of the file.
package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"immutray.org/helper/config"
)

// setting is a key that is commented out; prose has a space after its #.
var setting = regexp.MustCompile(`(?m)^#([a-z_]+ = )`)

func TestExampleShowsTheDefaults(t *testing.T) {
	data, err := os.ReadFile("config.toml")
	if err != nil {
		t.Fatal(err)
	}
	asInstalled, err := config.Parse(strings.NewReader(string(data)))
	if err != nil || !reflect.DeepEqual(asInstalled, config.Default()) {
		t.Errorf("as it is, the example means %+v, %v; it must change nothing", asInstalled, err)
	}

	text := setting.ReplaceAllString(string(data), "$1")
	got, err := config.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatalf("uncommented, the example is refused: %v", err)
	}
	want := config.Default()
	if got.AllowReadonly != nil && len(got.AllowReadonly) == 0 {
		got.AllowReadonly = nil // the file can say "none" only as an empty list
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("uncommented, the example means\n%+v\nthe default is\n%+v", got, want)
	}
	// So that a new key is not forgotten here.
	const noKeys = 2 // OnBtrfs, Refused
	if keys, fields := len(setting.FindAllString(string(data), -1)), reflect.TypeOf(want).NumField()-noKeys; keys != fields {
		t.Errorf("the example has %d keys, the configuration %d", keys, fields)
	}
}
