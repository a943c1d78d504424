package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"immutray.org/packaging/testbed/lab"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata; then read it")

// TestMain lets the test binary be immutectl as well: testscript starts it under
// that name. The tests themselves run in the lab's namespaces where that is possible.
func TestMain(m *testing.M) {
	commands := map[string]func(){"immutectl": immutectl}
	if _, ok := commands[filepath.Base(os.Args[0])]; !ok && lab.Unusable() == nil {
		if code, inside := lab.Enter(); !inside {
			os.Exit(code)
		}
	}
	testscript.Main(m, commands)
}

// quickExit keeps a program with the race detector from sleeping for a second when
// it ends (sanitizer's flag atexit_sleep_ms); scripts start hundreds of them.
const quickExit = "atexit_sleep_ms=0"

// immutectl is main, or with FAKE set main on a fake kernel.
func immutectl() {
	if os.Getenv("FAKE") == "" {
		main()
	}
	fakeMain()
}

// TestScript runs immutectl on a fake kernel, with a shell script for pkexec or the
// helper; everything else is real.
func TestScript(t *testing.T) {
	program, err := exec.LookPath("immutectl")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("FAKE", "1")
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", quickExit)
			env.Setenv("IMMUTECTL", program)
			env.Setenv("PATH", filepath.Join(env.WorkDir, "bin")+":"+env.Getenv("PATH"))
			return makeExecutable(env.WorkDir)
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// makeExecutable makes programs of the files in a script's bin directory.
func makeExecutable(dir string) error {
	programs, err := filepath.Glob(filepath.Join(dir, "bin", "*"))
	for _, p := range programs {
		err = errors.Join(err, os.Chmod(p, 0o755))
	}
	return err
}

// exits is a script command: "exits CODE PROGRAM ARGS…" runs the program and wants
// that exit code, and no error that says "cannot" twice.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	for _, text := range strings.FieldsFunc(ts.ReadFile("stderr"), func(r rune) bool { return r == '\n' || r == ';' }) {
		if strings.Count(text, "cannot") > 1 {
			ts.Fatalf("it says \"cannot\" more than once: %s", text)
		}
	}
}
