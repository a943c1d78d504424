package mount

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A SwapFile is an active swap file.
type SwapFile struct {
	Path string
	KiB  int64 // 0 if the kernel does not say
}

// ReadSwapFiles parses /proc/swaps (swap_show in mm/swapfile.c) and leaves out partitions:
//
//	Filename				Type		Size		Used		Priority
//	/swap/swap\040file                      file		524284		0		-2
//
// An error comes with the files before it.
func ReadSwapFiles(r io.Reader) ([]SwapFile, error) {
	var files []SwapFile
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
		file := SwapFile{Path: Unescape(fields[0])}
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
