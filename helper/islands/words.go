package islands

import (
	"fmt"
	"strconv"
	"strings"
)

// maxNamed is how many islands have a line of their own.
const maxNamed = 3

// Notices returns a line for each island that is read-only while the system is locked, with what it
// needs. The lines begin with the path and have no full stop.
func Notices(all []Frozen) []string {
	var lines []string
	for i, f := range all {
		if more := len(all) - i; i == maxNamed && more > 1 {
			return append(lines, fmt.Sprintf(`%d more directories are read-only while the system is locked; "immutectl doctor" lists them`, more))
		}
		lines = append(lines, f.notice())
	}
	return lines
}

func (f Frozen) notice() string {
	name := strconv.Quote(f.Path)
	if IsPlain(f.Path) {
		name = f.Path
	}
	if f.Why != "" {
		return fmt.Sprintf("%s is read-only while the system is locked: it is %s", name, f.Why)
	}
	line := name + " needs a subvolume of its own, and is read-only while the system is locked"
	if IsPlain(f.Path) {
		line += fmt.Sprintf("; run %q", "sudo immutectl island "+f.Path)
	}
	return line
}

// IsPlain reports whether a path needs no quotes in a shell.
func IsPlain(path string) bool {
	return !strings.ContainsFunc(path, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-@+", c))
	})
}
