package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"immutray.org/helper"
)

// A lock that fails at a quota says so.
func TestLockAtTheQuota(t *testing.T) {
	f := newFixture(t)
	if err := os.WriteFile(filepath.Join(f.Etc, "much"), make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"btrfs", "quota", "enable", f.Etc},
		{"btrfs", "quota", "rescan", "-w", f.Etc},
		{"btrfs", "qgroup", "limit", "1M", f.Etc}, // below what is there
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", command, err, out)
		}
	}
	result := f.run(helper.Lock)
	if result.Outcome != helper.Failed || result.Limit != "EDQUOT" {
		t.Errorf("lock at the quota = %s, limit %q: %s", result.Outcome, result.Limit, result.Error)
	}
}
