// Package mount reads the mount table and changes the read-only flags of one
// mount, with the system calls of mount_setattr(2), open_tree(2) and fspick(2).
//
// It never makes a superblock read-only: on btrfs that would freeze every
// subvolume of the filesystem, /home among them.
package mount

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// An Info is one line of mountinfo, proc_pid_mountinfo(5):
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//	(1)(2)(3)   (4)   (5)      (6)      (7)   (8) (9)   (10)         (11)
type Info struct {
	Summary
	Source       string // (10)
	SuperOptions string // (11) of the file system
}

// SuperOption returns the value of one option of the filesystem, such as subvolid, and
// whether there is one.
func (i Info) SuperOption(name string) (string, bool) {
	for option := range strings.SplitSeq(i.SuperOptions, ",") {
		if value, ok := strings.CutPrefix(option, name+"="); ok {
			// A comma in a value is escaped as well (seq_show_option in include/linux/seq_file.h).
			return Unescape(value), true
		}
	}
	return "", false
}

func hasOption(options, name string) bool {
	for len(options) > 0 {
		option := options
		if comma := strings.IndexByte(options, ','); comma >= 0 {
			option, options = options[:comma], options[comma+1:]
		} else {
			options = ""
		}
		if option == name {
			return true
		}
	}
	return false
}

// maxLine bounds one line of mountinfo: a path has at most 4096 bytes, each of which
// may be escaped to four, and overlay lists many paths in its options.
const maxLine = 1 << 20

// ParseInfo reads a mount table.
func ParseInfo(r io.Reader) ([]Info, error) {
	var infos []Info
	err := Each(r, nil, func(info Info) error {
		infos = append(infos, info)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return infos, nil
}

// Each reads a mount table and calls each for the mounts of superblocks, by their
// major:minor, or for all mounts where there are none. It ends early with an error of each.
func Each(r io.Reader, superblocks []string, each func(Info) error) error {
	return scan(r, func(line []byte) bool { return superblocks == nil || hasDevice(line, superblocks) }, each)
}

// FindIn returns the mount with an id, and reads a mount table no further than it.
func FindIn(r io.Reader, id uint64) (Info, error) {
	var found Info
	errFound := errors.New("found")
	begin := strconv.AppendUint(nil, id, 10)
	begin = append(begin, ' ')
	err := scan(r, func(line []byte) bool { return bytes.HasPrefix(line, begin) }, func(info Info) error {
		found = info
		return errFound
	})
	switch {
	case err == nil:
		return Info{}, ErrNotListed
	case err != errFound:
		return Info{}, err
	}
	return found, nil
}

// scan parses those lines of a mount table that are wanted: most are not worth it.
func scan(r io.Reader, wanted func(line []byte) bool, each func(Info) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if !wanted(lines.Bytes()) {
			continue
		}
		info, err := parseLine(lines.Bytes())
		if err != nil {
			return err
		}
		if err := each(info); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read the mount table: %w", err)
	}
	return nil
}

// hasDevice looks at field (3) alone.
func hasDevice(line []byte, superblocks []string) bool {
	for range 2 {
		_, line, _ = bytes.Cut(line, []byte(" "))
	}
	field, _, _ := bytes.Cut(line, []byte(" "))
	return slices.ContainsFunc(superblocks, func(s string) bool { return string(field) == s })
}

func parseLine(bytes []byte) (Info, error) {
	line := string(bytes)
	// The kernel escapes blanks in every field, so that a blank only ever separates
	// (mangle in fs/proc_namespace.c).
	var usual [16]string // more need memory of their own
	fields := usual[:0]
	for field := range strings.SplitSeq(line, " ") {
		fields = append(fields, field)
	}
	separator := -1
	for i := 6; i < len(fields); i++ {
		if fields[i] == "-" {
			separator = i
			break
		}
	}
	// Behind the separator a source or option list may be empty, not absent.
	if separator < 0 || len(fields) < separator+4 {
		return Info{}, fmt.Errorf("cannot read the mount table: unexpected line %q", line)
	}
	id, err := strconv.ParseUint(fields[0], 10, 64)
	if err != nil {
		return Info{}, fmt.Errorf("cannot read the mount table: unexpected line %q", line)
	}
	parent, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return Info{}, fmt.Errorf("cannot read the mount table: unexpected line %q", line)
	}
	return Info{
		Summary: Summary{
			ID:            id,
			Parent:        parent,
			Device:        fields[2],
			Root:          Unescape(fields[3]),
			Point:         Unescape(fields[4]),
			Filesystem:    Unescape(fields[separator+1]),
			readOnly:      hasOption(fields[5], "ro"),
			superReadOnly: hasOption(fields[separator+3], "ro"),
		},
		Source:       Unescape(fields[separator+2]),
		SuperOptions: fields[separator+3],
	}, nil
}

// Unescape undoes the octal escapes of a field: the kernel's for blank, tab, newline,
// backslash and # (mangle_path in fs/seq_file.c), and those of fstab(5).
func Unescape(field string) string {
	if !strings.Contains(field, `\`) {
		return field
	}
	out := make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		if b, ok := octalByte(field[i:]); ok {
			out = append(out, b)
			i += 3
			continue
		}
		out = append(out, field[i])
	}
	return string(out)
}

// octalByte returns the byte that a field begins with as a backslash and three digits.
func octalByte(field string) (byte, bool) {
	if len(field) < 4 || field[0] != '\\' {
		return 0, false
	}
	b, err := strconv.ParseUint(field[1:4], 8, 8)
	return byte(b), err == nil
}
