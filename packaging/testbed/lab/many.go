package lab

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// ManyMounts is how many other mounts a machine with many containers has. With as few as 30
// the cost of reading the mount table does not show.
const ManyMounts = 5000

// MountMany makes mounts besides those of the test system, which end with the test, and
// returns their mount points.
func MountMany(t testing.TB, number int) []string {
	t.Helper()
	if !Inside() {
		t.Fatal("refusing to mount in the machine's own namespace")
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		t.Fatalf("cannot mount %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil { // with all that is below
			t.Errorf("cannot unmount %s: %v", dir, err)
		}
	})
	points := make([]string, number)
	for i := range points {
		points[i] = filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(points[i], 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("none", points[i], "tmpfs", 0, "size=4k"); err != nil {
			t.Fatalf("cannot mount %s: %v", points[i], err)
		}
	}
	return points
}
