package writers

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// parseSwaps returns the active swap files from /proc/swaps (swap_show in
// mm/swapfile.c), partitions left out:
//
//	Filename				Type		Size		Used		Priority
//	/swap/swap\040file                      file		524284		0		-2
//	(path)                                  (type)
//
// Blanks, tabs, newlines and backslashes of the path are octal escapes.
func parseSwaps(r io.Reader) ([]string, error) {
	var files []string
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			return nil, fmt.Errorf("cannot read the list of swap files: unexpected line %q", lines.Text())
		}
		if fields[1] == "file" {
			files = append(files, unescapeOctal(fields[0]))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the list of swap files: %w", err)
	}
	return files, nil
}

// unescapeOctal undoes mangle_path of fs/seq_file.c: a backslash and three octal
// digits stand for one byte.
func unescapeOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, ok := octalByte(s[i:]); ok {
			b.WriteByte(c)
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octalByte(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[1:4]) {
		if c < '0' || c > '7' {
			return 0, false
		}
		n = n*8 + int(c-'0')
	}
	return byte(n), n < 256
}
