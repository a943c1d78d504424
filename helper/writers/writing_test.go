package writers

import (
	"path/filepath"
	"testing"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// Who has mapped a file for himself keeps its mount busy, and can't change the file.
func TestWritingLeavesOutPrivateMappings(t *testing.T) {
	s := lab.New(t)
	path := create(t, filepath.Join(s.Root, "file"))
	for role, writes := range map[string]bool{
		"map private": false, "map private to read": false, "map read shared": false,
		"map shared": true, "map shared to read": true, "write": true, "map and write": true,
	} {
		c := start(t, role, path)
		found, err := new(Scanner).Writing(t.Context(), s.Protected())
		if err != nil {
			t.Fatal(err)
		}
		if got := len(found) > 0; got != writes || got && (found[0].PID != c.pid || found[0].Kind == helper.WriterUnknown) {
			t.Errorf("%s: Writing = %+v, want that it writes: %v", role, found, writes)
		}
		c.stop()
	}
}
