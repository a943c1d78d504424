package cmdline

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	tests := []struct {
		name, line string
		want       []string
	}{
		{"nothing", "", nil},
		{"blanks", " \n\t", nil},
		{"words", "a  b\tc\n", []string{"a", "b", "c"}},
		{"value in quotes", `root="a b" c`, []string{"root=a b", "c"}},
		{"word in quotes", `"a b=c d" e`, []string{"a b=c d", "e"}},
		{"quotes inside a word stay", `a"b c"d e`, []string{`a"b c"d`, "e"}},
		{"quote without an end", `a="b rw`, []string{"a=b rw"}},
		{"single quotes mean nothing", `a='b rw'`, []string{"a='b", "rw'"}},
		{"backslash means nothing", `a=\"b c\" d`, []string{`a=\"b c\"`, "d"}},
		{"NUL ends", "a\x00", []string{"a"}},
		{"empty quotes", `"" a=""`, []string{"", "a="}},
		{"not UTF-8", "a\xff rw", []string{"a\xff", "rw"}},
	}
	for _, test := range tests {
		if got := Words([]byte(test.line)); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: Words(%q) = %q, want %q", test.name, test.line, got, test.want)
		}
	}
}

func TestTarget(t *testing.T) {
	for line, want := range map[string]string{
		"": "", "ro quiet splash\n": "", "rw=1 rescue=1 foo=rescue": "", "systemd.wants=rescue.target": "",
		"rd.rescue rd.systemd.unit=rescue.target rd.emergency": "", // the initrd's
		"systemd.unit=": "", "systemd.unit=x": "",
		"ro rescue": Rescue, "single": Rescue, "-s": Rescue, "s": Rescue, "S": Rescue, "1": Rescue,
		"emergency": Emergency, "ro -b": Emergency,
		"systemd.unit=rescue.target": Rescue, `systemd.unit="emergency.target"`: Emergency,
		"2": "multi-user.target", "3": "multi-user.target", "4": "multi-user.target", "5": "graphical.target",
		"systemd.unit=kiosk.target":            "kiosk.target",
		"systemd.unit=rescue.target.wants":     "rescue.target.wants",
		"rescue systemd.unit=graphical.target": "graphical.target",
		"rescue 3":                             "multi-user.target",
		"3 rescue":                             Rescue,
		"rescue systemd.unit=":                 Rescue,
	} {
		if got := Target([]byte(line)); got != want {
			t.Errorf("Target(%q) = %q, want %q", line, got, want)
		}
	}
}

func FuzzWords(f *testing.F) {
	files, err := filepath.Glob("testdata/*.cmdline")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`a="b c" "d e=f" rw`))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Without quotes a word is what stands between blanks, and nothing else.
		if !strings.Contains(string(data), `"`) {
			fields := strings.FieldsFunc(string(data), func(r rune) bool { return strings.ContainsRune(blanks, r) })
			if got := Words(data); len(got)+len(fields) > 0 && !reflect.DeepEqual(got, fields) {
				t.Errorf("Words(%q) = %q, want %q", data, got, fields)
			}
		}
		if target := Target(data); target != "" && !strings.Contains(target, ".") {
			t.Errorf("Target(%q) = %q, which is no unit", data, target)
		}
	})
}
