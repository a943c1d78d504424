package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// tree is the module's directory, where the Makefile is.
const tree = "../.."

var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(code)
}

// buildDir returns a build directory of the tests' own, in which "make build" has been
// run, and with the practice system in it.
func buildDir(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		built.err = errors.New("an earlier test has failed to build")
		var err error
		if built.dir, err = os.MkdirTemp("", "practice-build"); err != nil {
			t.Fatal(err)
		}
		runMake(t, built.dir, "build")
		if out, err := exec.Command("go", "build", "-o", practiceProgram(built.dir), ".").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		built.err = nil
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func practiceProgram(build string) string { return filepath.Join(build, "practice") }

// runMake runs make in the tree, for this build directory.
func runMake(t *testing.T, build string, args ...string) {
	t.Helper()
	cmd := exec.Command("make", append([]string{"--no-print-directory", "-C", tree, "BUILD=" + build}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}
