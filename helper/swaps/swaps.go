// Package swaps reads the list of active swap files.
package swaps

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"immutray.org/helper/mount"
)

// A File is an active swap file.
type File struct {
	Path string
	KiB  int64 // 0 if the kernel does not say
}

// Read parses /proc/swaps (swap_show in mm/swapfile.c) and leaves out partitions:
//
//	Filename				Type		Size		Used		Priority
//	/swap/swap\040file                      file		524284		0		-2
//
// An error comes with the files before it.
func Read(r io.Reader) ([]File, error) {
	var files []File
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			return files, fmt.Errorf("cannot read the list of swap files: unexpected line %q", lines.Text())
		}
		if fields[1] != "file" {
			continue
		}
		file := File{Path: mount.Unescape(fields[0])}
		if len(fields) > 2 {
			file.KiB, _ = strconv.ParseInt(fields[2], 10, 64)
		}
		files = append(files, file)
	}
	if err := lines.Err(); err != nil {
		return files, fmt.Errorf("cannot read the list of swap files: %w", err)
	}
	return files, nil
}
