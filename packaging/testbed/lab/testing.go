package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Main is the TestMain of a package whose tests lock real subvolumes: it runs them
// in namespaces of their own. Where that can't be, because the user is not root or
// a tool is missing, the tests run outside, and those that call [New] skip
// themselves, or fail when CI=true.
func Main(m *testing.M) {
	if Unusable() != nil {
		os.Exit(m.Run())
	}
	code, inside := Enter()
	if inside {
		if err := beOldKernel(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		code = m.Run()
	}
	os.Exit(code)
}

// Unusable returns why no lab can be built here, nil when it can.
func Unusable() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("root is needed to mount a test file system")
	}
	for tool, pkg := range map[string]string{"mkfs.btrfs": "btrfs-progs", "btrfs": "btrfs-progs", "mount": "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing (apt install %s)", tool, pkg)
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return fmt.Errorf("no loop devices here: %w", err)
	}
	return nil
}

// Require ends a test that needs the named programs where one is missing: skipped
// at home, failed where CI=true. The programs are given as "program:package".
func Require(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		program, pkg, _ := strings.Cut(p, ":")
		if _, err := exec.LookPath(program); err != nil {
			Unavailable(t, fmt.Sprintf("%s is missing (apt install %s)", program, pkg))
		}
	}
}

// Unavailable ends a test that can't run here: skipped at home, failed where CI=true.
func Unavailable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Dir returns an empty directory, which is removed at the end of the test. Only root can
// write to it and to the directories above it, unlike a test's temporary directory in /tmp.
func Dir(t testing.TB) string {
	t.Helper()
	requireInside(t)
	dir, err := os.MkdirTemp(Base, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// requireInside ends a test that is not in the lab's namespaces: outside them [Base] is the
// machine's own.
func requireInside(t testing.TB) {
	t.Helper()
	if err := Unusable(); err != nil {
		Unavailable(t, err.Error())
	}
	if !Inside() {
		t.Fatal("no lab.Main in this package: refusing to work in the machine's own namespace")
	}
}

// New builds a System for one test and takes it down with the test.
func New(t testing.TB) *System {
	t.Helper()
	s, err := Build(Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Writable returns nil when a file can be created at path, else the error of trying.
func (s *System) Writable(path string) error {
	probe := filepath.Join(path, ".lab-probe")
	fd, err := unix.Open(probe, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "create", Path: probe, Err: err}
	}
	unix.Close(fd)
	return os.Remove(probe)
}
