package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestSystemHasTheArticlesLayout(t *testing.T) {
	s := New(t)
	for _, p := range append(s.Protected(), s.IslandPaths()...) {
		if err := s.Writable(p); err != nil {
			t.Error(err)
		}
	}
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(s.Protected(), s.IslandPaths()...) {
		if !strings.Contains(string(mountinfo), " "+p+" ") {
			t.Errorf("%s is not a mount of its own", p)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	s := New(t)
	device, dir := s.Device, s.Dir
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	mountinfo, _ := os.ReadFile("/proc/self/mountinfo")
	if strings.Contains(string(mountinfo), dir) {
		t.Errorf("mounts below %s are left:\n%s", dir, mountinfo)
	}
	if err := checkBacking(device, filepath.Join(dir, "disk.img")); err == nil {
		t.Errorf("%s is still bound to the image", device)
	}
}
