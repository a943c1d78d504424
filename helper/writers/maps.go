package writers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A mapping is one line of /proc/PID/maps. Its bytes are only valid until the next
// line is read.
type mapping struct {
	addresses []byte // "start-end" in hexadecimal
	perms     []byte // "rw-s"
	inode     uint64 // 0 when no file is mapped
	path      []byte // escaped
}

// maxMapsLine is more than a path takes that a program can open by name, were every byte
// of it escaped. Directory by directory, anyone can make longer ones.
const maxMapsLine = 64 << 10

// eachMapping calls f for every line of /proc/PID/maps (show_map_vma in
// fs/proc/task_mmu.c):
//
//	7f2c1a000000-7f2c1a021000 rw-s 00000000 00:27 257      /srv/data\012base
//	(addresses)               (perms) (offset) (dev) (inode)  (path)
//
// The device is the superblock's, which is not the st_dev of a file on btrfs. Nothing
// in the path is escaped but the newline, not even the backslash. Of a path that r has no
// room for only the beginning is read. The first line that does not look like this ends
// the reading with an error, and so does an error of f.
func eachMapping(r *bufio.Reader, f func(mapping) error) error {
	for {
		line, err := r.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		cut := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && err != io.EOF && !cut {
			return fmt.Errorf("cannot read mappings: %w", err)
		}
		m, ok := parseMapping(bytes.TrimSuffix(line, []byte("\n")))
		if !ok {
			return fmt.Errorf("cannot read mappings: unexpected line %.100q", line)
		}
		if err := f(m); err != nil {
			return err
		}
		for cut {
			_, err := r.ReadSlice('\n')
			cut = errors.Is(err, bufio.ErrBufferFull)
		}
	}
}

func parseMapping(line []byte) (m mapping, ok bool) {
	var dev, inode []byte
	rest := line
	for _, field := range []*[]byte{&m.addresses, &m.perms, nil, &dev, &inode} {
		var value []byte
		if value, rest, _ = bytes.Cut(rest, []byte(" ")); len(value) == 0 {
			return mapping{}, false
		}
		if field != nil {
			*field = value
		}
	}
	start, end, ok := bytes.Cut(m.addresses, []byte("-"))
	if !ok || !hexadecimal(start) || !hexadecimal(end) || len(m.perms) != 4 {
		return mapping{}, false
	}
	n, err := strconv.ParseUint(string(inode), 10, 64)
	if err != nil {
		return mapping{}, false
	}
	m.inode = n
	m.path = bytes.TrimLeft(rest, " ")
	return m, true
}

func hexadecimal(digits []byte) bool {
	for _, c := range digits {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(digits) > 0
}

// link returns the name of the mapping in map_files. There addresses have no leading
// zeros, while maps pads them to eight digits.
func (m mapping) link() string {
	start, end, _ := strings.Cut(string(m.addresses), "-")
	return withoutZeros(start) + "-" + withoutZeros(end)
}

func withoutZeros(digits string) string {
	if trimmed := strings.TrimLeft(digits, "0"); trimmed != "" {
		return trimmed
	}
	return "0"
}

// writesThrough reports whether stores to the mapping reach the file; the kernel
// allows that only for a file opened for writing.
func (m mapping) writesThrough() bool { return m.perms[1] == 'w' && m.perms[3] == 's' }

// isShared reports whether stores to the mapping reach the file, or would if it were made
// writable (mprotect(2)).
func (m mapping) isShared() bool { return m.perms[3] == 's' }

// unescapedPath returns the path. A file whose name really has the four characters
// \012 in it can't be told from one with a newline.
func (m mapping) unescapedPath() string {
	return strings.ReplaceAll(string(m.path), `\012`, "\n")
}
