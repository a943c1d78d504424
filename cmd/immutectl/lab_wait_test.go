package main

import (
	"bufio"
	"io"
	"os/exec"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// waiting is an "immutectl lock --wait" that runs, and what it says on stderr.
type waiting struct {
	cmd   *exec.Cmd
	lines *bufio.Reader
}

func (w *waiting) kill() {
	if w.cmd != nil {
		w.cmd.Process.Kill()
		w.cmd.Wait()
	}
}

// lockWait is "lockwait": it starts "immutectl lock --wait".
func (f *fixture) lockWait(ts *testscript.TestScript, _ bool, _ []string) {
	program, err := exec.LookPath("immutectl")
	ts.Check(err)
	cmd := exec.Command(program, f.command("lock", "--wait", "10m")...)
	cmd.Env = []string{"TZ=UTC", "GORACE=" + quickExit}
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	f.waiting = waiting{cmd, bufio.NewReader(stderr)}
}

// waitsFor is "waitsfor REGEXP": the next line that is said matches.
func (f *fixture) waitsFor(ts *testscript.TestScript, _ bool, args []string) {
	line, err := f.waiting.lines.ReadString('\n')
	ts.Check(err)
	if !regexp.MustCompile(args[0]).MatchString(line[:len(line)-1]) {
		ts.Fatalf("it says %q, want %q", line, args[0])
	}
}

// locks is "locks": the wait ends in a lock, and nothing more is said.
func (f *fixture) locks(ts *testscript.TestScript, _ bool, _ []string) {
	f.endsWith(ts, 0, "")
}

// interrupt is "interrupt": Ctrl-C ends the wait.
func (f *fixture) interrupt(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(f.waiting.cmd.Process.Signal(unix.SIGINT))
	f.endsWith(ts, 1, "immutectl: cancelled\n")
}

func (f *fixture) endsWith(ts *testscript.TestScript, code int, words string) {
	said, err := io.ReadAll(f.waiting.lines)
	ts.Check(err)
	_ = f.waiting.cmd.Wait() // the exit code says more
	got := f.waiting.cmd.ProcessState.ExitCode()
	f.waiting = waiting{}
	if got != code || string(said) != words {
		ts.Fatalf("exit code %d, %q; want %d, %q", got, said, code, words)
	}
}
