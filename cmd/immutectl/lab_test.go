package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

// TestLab runs immutectl and the real helper on real subvolumes, as root.
func TestLab(t *testing.T) {
	scripts, err := filepath.Glob("testdata/lab/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in testdata/lab: %v", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			f := newFixture(t)
			testscript.Run(t, testscript.Params{
				Files:         []string{script},
				UpdateScripts: *update,
				Setup:         f.setup,
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"exits":   exits,
					"run":     f.run,
					"hold":    f.hold,
					"release": f.release,
					"watch":   f.watch,
					"sees":    f.sees,
					"unwatch": f.unwatch,

					"lockwait":  f.lockWait,
					"waitsfor":  f.waitsFor,
					"locks":     f.locks,
					"interrupt": f.interrupt,
				},
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
			})
		})
	}
}

// A fixture is a test system with the script commands that work on it.
type fixture struct {
	*lab.System
	helper, config string

	held    *os.File
	watcher *exec.Cmd
	lines   *bufio.Reader
	pipe    *os.File

	waiting waiting
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{System: lab.New(t), helper: lab.Program(t, "immutray-helper")}
	if err := f.CloseTop(); err != nil {
		t.Fatal(err)
	}
	f.config = filepath.Join(f.Dir, "immutray.toml")
	text := fmt.Sprintf("paths = [%q, %q]\nislands = []\ndrain = \"100ms\"\nunlock_default = \"until-locked\"\nstate_dir = %q\n", f.Root, f.Etc, f.State)
	if err := os.WriteFile(f.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) setup(env *testscript.Env) error {
	env.Setenv("ROOT", f.Root)
	env.Setenv("ETC", f.Etc)
	env.Setenv("HOME_SUBVOLUME", filepath.Join(f.Root, "home", "rrs"))
	env.Setenv("CONFIG", f.config)
	env.Setenv("HELPER", f.helper)
	env.Setenv("DIR", f.Dir)
	env.Setenv("PID", strconv.Itoa(os.Getpid()))
	env.Setenv("TZ", "UTC")
	env.Setenv("GORACE", quickExit)
	env.Defer(func() {
		if f.held != nil {
			f.held.Close()
		}
		f.waiting.kill()
		if f.watcher != nil {
			f.watcher.Process.Kill()
			f.watcher.Wait()
			f.pipe.Close()
		}
	})
	return nil
}

func (f *fixture) command(args ...string) []string {
	return append([]string{"--config", f.config, "--helper", f.helper}, args...)
}

// run is "run CODE COMMAND…": immutectl on the test system, with that exit code. What
// it prints is also left in the files out and err, with what differs from run to run
// made the same: they can be compared.
func (f *fixture) run(ts *testscript.TestScript, neg bool, args []string) {
	exits(ts, neg, append([]string{args[0], "immutectl"}, f.command(args[1:]...)...))
	for _, name := range []string{"stdout", "stderr"} {
		text := strings.ReplaceAll(ts.ReadFile(name), f.Dir, "/lab")
		text = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d`).ReplaceAllString(text, "TIME")
		file := ts.MkAbs(strings.TrimPrefix(name, "std"))
		ts.Check(os.WriteFile(file, []byte(text), 0o644))
	}
}

// hold is "hold FILE": the test itself opens the file for writing.
func (f *fixture) hold(ts *testscript.TestScript, _ bool, args []string) {
	held, err := os.OpenFile(args[0], os.O_CREATE|os.O_WRONLY, 0o644)
	ts.Check(err)
	f.held = held
}

// release ends a hold; the test writes once more before, as it still can.
func (f *fixture) release(ts *testscript.TestScript, _ bool, _ []string) {
	_, err := f.held.WriteString("still here\n")
	ts.Check(err)
	ts.Check(f.held.Close())
	f.held = nil
}

// watch is "watch FLAGS…": it starts "immutectl watch".
func (f *fixture) watch(ts *testscript.TestScript, _ bool, args []string) {
	program, err := exec.LookPath("immutectl")
	ts.Check(err)
	r, w, err := os.Pipe()
	ts.Check(err)
	defer w.Close()
	f.pipe, f.lines = r, bufio.NewReader(r)
	f.watcher = exec.Command(program, f.command(append([]string{"watch"}, args...)...)...)
	f.watcher.Stdout, f.watcher.Stderr = w, os.Stderr
	f.watcher.Env = []string{"TZ=UTC", "GORACE=" + quickExit}
	ts.Check(f.watcher.Start())
}

// sees is "sees REGEXP": it waits for a line of the watch that matches.
func (f *fixture) sees(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	// Far longer than any change takes to show: only a broken watch gets there.
	ts.Check(f.pipe.SetReadDeadline(time.Now().Add(time.Minute)))
	for {
		line, err := f.lines.ReadString('\n')
		if err != nil {
			ts.Fatalf("no line that matches %q: %v", want, err)
		}
		line = strings.TrimSuffix(line, "\n")
		ts.Logf("%s", line)
		if want.MatchString(line) {
			return
		}
	}
}

// unwatch ends the watch as Ctrl-C does, and wants it to end well.
func (f *fixture) unwatch(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(f.watcher.Process.Signal(unix.SIGINT))
	err := f.watcher.Wait()
	f.watcher = nil
	f.pipe.Close()
	ts.Check(err)
}
