package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"immutray.org/helper/mount"
	"immutray.org/packaging/testbed/lab"
)

func TestParseFstab(t *testing.T) {
	f, err := os.Open("testdata/classic.fstab")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := parseFstab(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 16 {
		t.Errorf("parseFstab found %d lines, want 16", len(lines))
	}
	want := FstabLine{
		Number: 9,
		Text:   "/dev/mapper/nvme0n1p3_crypt / btrfs autodefrag,compress=zstd,discard=async,noatime,defaults,ro 0 0",
		Source: "/dev/mapper/nvme0n1p3_crypt", Point: "/", Type: "btrfs",
		Options: []string{"autodefrag", "compress=zstd", "discard=async", "noatime", "defaults", "ro"},
	}
	if !reflect.DeepEqual(lines[0], want) {
		t.Errorf("the first line is %+v, want %+v", lines[0], want)
	}
	readOnly := ""
	for _, l := range lines {
		if l.superblockReadOnly() {
			readOnly += l.Point + " "
		}
	}
	if readOnly != "/ /etc " {
		t.Errorf("read-only are %q, want / and /etc", readOnly)
	}
}

// What mends the classic fstab leaves every other line as it is.
func TestMendFstab(t *testing.T) {
	data, err := os.ReadFile("testdata/classic.fstab")
	if err != nil {
		t.Fatal(err)
	}
	s := lab.New(t)
	disk := strings.NewReplacer( // findmnt looks for it
		"/dev/mapper/nvme0n1p3_crypt", s.Device,
		"4473b40b-bb46-43d6-b69c-ef17bfcac41c", uuidOf(t, s),
	)
	data = []byte(disk.Replace(string(data)))
	file := filepath.Join(t.TempDir(), "fs tab")
	write(t, file, string(data))
	f := ready()
	f.Fstab = file
	if f.Lines, err = parseFstab(strings.NewReader(string(data))); err != nil {
		t.Fatal(err)
	}
	for _, finding := range without(Examine(f), OK) {
		for _, command := range finding.Mend {
			run(t, "sh", "-ec", command)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(string(data), ",ro ", ",ro=vfs "); string(got) != want {
		t.Errorf("mended:\n%s\nwant\n%s", got, want)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "/a b", `\040`, "#\t\n\\", "\xff", `\9`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := escape(s)
		if got := mount.Unescape(e); got != s {
			t.Errorf("mount.Unescape(escape(%q)) = %q", s, got)
		}
		if strings.ContainsAny(e, " \t\n#") {
			t.Errorf("escape(%q) = %q", s, e)
		}
	})
}

func TestQuote(t *testing.T) {
	for _, word := range []string{"", "/mnt", "a b", "it's", "$HOME `x` \\ \"", "*", "-n", "a\nb", "~", "é", "a;b"} {
		out, err := exec.Command("sh", "-c", `printf '%s.' `+quote(word)).Output()
		if err != nil || string(out) != word+"." {
			t.Errorf("the shell reads %s as %q, %v, want %q", quote(word), out, err, word)
		}
	}
}

func FuzzParseFstab(f *testing.F) {
	data, err := os.ReadFile("testdata/classic.fstab")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := parseFstab(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, l := range lines {
			if l.superblockReadOnly() {
				l.withOption("rw")
			}
			if l.lateOption() != "" {
				l.withOptions(l.Options)
			}
		}
	})
}
