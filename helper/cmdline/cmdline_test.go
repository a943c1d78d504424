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

func TestSealWanted(t *testing.T) {
	tests := []struct {
		name, line string
		want       bool
	}{
		{"the article's", "BOOT_IMAGE=/vmlinuz root=UUID=1 ro rootflags=subvol=ROOTVOL quiet splash\n", true},
		{"nothing", "", true},
		{"rw", "root=/dev/sda1 ro quiet rw\n", false},
		{"rw first", "rw root=/dev/sda1", false},
		{"rw before ro", "root=/dev/sda1 rw ro", false},
		{"rw in quotes", `root=/dev/sda1 "rw"`, false},
		{"rw for init", "root=/dev/sda1 -- rw", false},
		{"rw in rootflags", "rootflags=subvol=@,rw", true},
		{"rw as a value", "foo=rw", true},
		{"rw with a value", "rw=1", true},
		{"rw with an empty value", "rw=", true},
		{"rw in another word", "rwx xrw rw- systemd.rw foo.rw", true},
		{"rw in a device's name", "root=/dev/mapper/rw", true},
		{"rw in a unit's name", "systemd.wants=foo-rw.target", true},
		{"rw inside quotes", `foo="bar rw baz" "a rw b"`, true},
		{"rw in capitals", "RW", true},
		{"rw between other blanks", "ro\trw\n", false},

		{"rescue", "ro rescue", false},
		{"emergency", "ro emergency", false},
		{"single", "ro single", false},
		{"-s", "ro -s", false},
		{"s", "ro s", false},
		{"S", "ro S", false},
		{"1", "ro 1", false},
		{"-b", "ro -b", false},
		{"rescue target", "ro systemd.unit=rescue.target", false},
		{"emergency target", "ro systemd.unit=emergency.target", false},
		{"rescue target in quotes", `ro systemd.unit="rescue.target"`, false},
		{"initrd's rescue only", "ro rd.rescue rd.systemd.unit=rescue.target rd.emergency", true},
		{"another target", "ro systemd.unit=multi-user.target", true},
		{"rescue, then another target", "ro rescue systemd.unit=graphical.target", true},
		{"rescue, then runlevel 3", "ro rescue 3", true},
		{"runlevel 3, then rescue", "ro 3 rescue", false},
		{"rescue, then a unit without a name", "ro rescue systemd.unit=", false},
		{"rescue as a value", "foo=rescue rescue=1 systemd.wants=rescue.target", true},
		{"target with a suffix", "systemd.unit=rescue.target.wants", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, why := SealWanted([]byte(test.line))
			if got != test.want || (why == "") != got {
				t.Errorf("SealWanted(%q) = %t, %q, want %t", test.line, got, why, test.want)
			}
		})
	}
	for line, want := range map[string]string{
		"rw":        "the kernel command line says rw",
		"emergency": "the computer was started in emergency mode",
		"single":    "the computer was started in rescue mode",
	} {
		if _, why := SealWanted([]byte(line)); why != want {
			t.Errorf("SealWanted(%q) says %q, want %q", line, why, want)
		}
	}
}

func TestUnsealWanted(t *testing.T) {
	for line, want := range map[string]bool{
		"root=/dev/sda1 ro quiet rw\n": true,
		"rw":                           true,
		"ro rw":                        true,
		`"rw" ro`:                      true,
		"ro rescue rw":                 true,
		"emergency rw":                 true,
		"":                             false,
		"root=/dev/sda1 ro quiet\n":    false,
		"ro rescue":                    false,
		"rw=1 foo=rw rootflags=rw":     false,
		`foo="bar rw baz"`:             false,
	} {
		got, why := UnsealWanted([]byte(line))
		if got != want || (why == "") != got {
			t.Errorf("UnsealWanted(%q) = %t, %q, want %t", line, got, why, want)
		}
	}
}

func FuzzSealWanted(f *testing.F) {
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
		wanted, why := SealWanted(data)
		if wanted != (why == "") {
			t.Errorf("SealWanted(%q) = %t, %q", data, wanted, why)
		}
		// Without quotes a word is what stands between blanks, and nothing else.
		if !strings.Contains(string(data), `"`) {
			fields := strings.FieldsFunc(string(data), func(r rune) bool { return strings.ContainsRune(blanks, r) })
			if got := Words(data); len(got)+len(fields) > 0 && !reflect.DeepEqual(got, fields) {
				t.Errorf("Words(%q) = %q, want %q", data, got, fields)
			}
		}
		if unseal, why := UnsealWanted(data); unseal != HasWord(data, "rw") || unseal != (why == "") || unseal && wanted {
			t.Errorf("UnsealWanted(%q) = %t, %q; SealWanted = %t", data, unseal, why, wanted)
		}
	})
}
