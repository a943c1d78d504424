package swaps

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	const heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	data, err := os.ReadFile("testdata/swaps")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, data string
		want       []string
	}{
		{"from a machine", string(data), []string{
			"/mnt/system2143900139/root/swap file", "/mnt/system2143900139/root/tab\tline\nback\\slash \xff"}},
		{"none", heading, nil},
		{"empty", "", nil},
		{"partition and file", heading + "/dev/nvme0n1p3                          partition\t8388604\t\t0\t\t-2\n" +
			"/swap/swapfile                          file\t\t33554428\t0\t\t-3\n", []string{"/swap/swapfile"}},
		{"deleted", heading + "/s\\040(deleted) file\t\t4\t0\t-2\n", []string{"/s (deleted)"}},
		{"broken escapes", heading + "/a\\04 file\n/b\\ file\n/c\\999 file\n/d\\777 file\n", []string{`/a\04`, `/b\`, `/c\999`, `/d\777`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files, err := Read(strings.NewReader(test.data))
			var got []string
			for _, f := range files {
				got = append(got, f.Path)
			}
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("Read = %q, %v, want %q", got, err, test.want)
			}
		})
	}
	for _, bad := range []string{heading + "one\n", heading + "\n", heading + strings.Repeat("x", 1<<20)} {
		if got, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("Read(%.60q) = %q, want an error", bad, got)
		}
	}
}

func TestSizeOfAFile(t *testing.T) {
	const swaps = "Filename\tType\tSize\tUsed\tPriority\n/swap file 524284 0 -2\n/none file\n"
	files, err := Read(strings.NewReader(swaps))
	if want := []File{{"/swap", 524284}, {"/none", 0}}; err != nil || !slices.Equal(files, want) {
		t.Errorf("Read() = %+v, %v, want %+v", files, err, want)
	}
}

func FuzzRead(f *testing.F) {
	data, err := os.ReadFile("testdata/swaps")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, file := range files {
			if file.Path == "" || len(file.Path) > len(data) {
				t.Errorf("a swap file %+v", file)
			}
		}
	})
}
