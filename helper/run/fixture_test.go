package run

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/engine"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statefile"
	"immutray.org/packaging/testbed/lab"
)

// A fixture is a test system, locked.
type fixture struct {
	*lab.System
	t      testing.TB
	engine *engine.Engine
	stdin  io.WriteCloser // of the command that was started last
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	s := lab.New(t)
	if err := s.CloseTop(); err != nil {
		t.Fatal(err)
	}
	f := &fixture{System: s, t: t, engine: &engine.Engine{Config: config.Config{
		Paths: s.Protected(), Islands: s.IslandPaths(), Drain: 100 * time.Millisecond, StateDir: s.State,
	}}}
	// A guardian, started as /proc/self/exe, has something to write yet when the system is
	// locked.
	t.Cleanup(func() {
		f.await("the end of every guardian", 10*time.Second, func() bool { return !hasProcess("exe") })
	})
	f.set(setup{})
	if err := unix.Mkfifo(filepath.Join(f.Dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.must(helper.Lock)
	return f
}

// set says how commands are run from now on.
func (f *fixture) set(s setup) {
	f.t.Helper()
	s.Config = f.engine.Config
	data, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(filepath.Join(f.Dir, "setup.json"), data, 0o600)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) ask(verb helper.Verb) *helper.Result {
	return f.engine.Run(context.Background(), helper.Request{Verb: verb, ID: helper.NewID(), UID: 1000, User: "rrs"})
}

func (f *fixture) must(verb helper.Verb) {
	f.t.Helper()
	if r := f.ask(verb); r.Outcome != helper.Done {
		f.t.Fatalf("%s: %s: %s", verb, r.Outcome, r.Error)
	}
}

func (f *fixture) status() helper.Status {
	return (&lockstate.Reader{Paths: f.Protected(), StateDir: f.State}).Read()
}

// runner returns a runner that is not started yet.
func (f *fixture) runner(command ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	// The lab ignores signals, which is inherited.
	cmd := exec.Command("env", append([]string{"--default-signal", self}, command...)...)
	cmd.Env = append(os.Environ(), roleVariable+"=runner", systemVariable+"="+f.Dir,
		"ROOT="+f.Root, "ETC="+f.Etc, "FIFO="+filepath.Join(f.Dir, "fifo"), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

func (f *fixture) shell(script string) *exec.Cmd { return f.runner("sh", "-c", script) }

// start starts a runner, and waits for the first line that its command prints.
func (f *fixture) start(script string) *exec.Cmd {
	f.t.Helper()
	cmd := f.shell(script)
	out, err := cmd.StdoutPipe()
	if err == nil {
		f.stdin, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	line := make([]byte, 100)
	if n, err := out.Read(line); err != nil {
		f.t.Fatalf("%s printed nothing: %v; %+v", script, err, f.end(cmd))
	} else if got := string(line[:n]); got != "ready\n" {
		f.t.Fatalf("%s printed %q", script, got)
	}
	return cmd
}

// run runs a command to its end.
func (f *fixture) run(cmd *exec.Cmd) (code int, end leftEnd) {
	f.t.Helper()
	if cmd.Process == nil {
		if err := cmd.Start(); err != nil {
			f.t.Fatal(err)
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		f.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), f.end(cmd)
}

func (f *fixture) end(cmd *exec.Cmd) (end leftEnd) {
	if data, err := os.ReadFile(endFile(f.Dir, cmd.Process.Pid)); err == nil {
		if err := json.Unmarshal(data, &end); err != nil {
			f.t.Error(err)
		}
	}
	said := []string{end.Err}
	if end.Result != nil {
		said = slices.Concat(said, strings.Split(end.Result.Error, "; "), end.Result.Notices)
	}
	for _, text := range said {
		if strings.Count(text, "cannot") > 1 {
			f.t.Errorf("it says \"cannot\" more than once: %s", text)
		}
	}
	return end
}

func (f *fixture) guardian() int {
	f.t.Helper()
	data, err := os.ReadFile(filepath.Join(f.Dir, "guardian"))
	if err != nil {
		f.t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		f.t.Fatal(err)
	}
	return pid
}

func (f *fixture) journal() string {
	data, _ := os.ReadFile(filepath.Join(f.Dir, "journal"))
	return string(data)
}

// expect compares the state, and what the kernel lets others do, with want.
func (f *fixture) expect(when string, want helper.State) {
	f.t.Helper()
	status := f.status()
	if got := f.state(); got != want {
		f.t.Errorf("%s: state = %s, want %s: %+v", when, got, want, status.Paths)
	}
	for _, p := range status.Paths {
		err := f.Writable(p.Path)
		if want == helper.Unlocked && err != nil || want != helper.Unlocked && !errors.Is(err, unix.EROFS) {
			f.t.Errorf("%s: creating a file in %s gives %v", when, p.Path, err)
		}
	}
	for _, p := range f.IslandPaths() {
		if err := f.Writable(p); err != nil {
			f.t.Errorf("%s: %v", when, err)
		}
	}
}

// await waits for a condition, no longer than a time.
func (f *fixture) await(what string, atMost time.Duration, done func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(atMost); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: not within %v; %+v\n%s", what, atMost, f.status(), f.journal())
		}
	}
}

// signal stops or kills a process, and waits until it is stopped or dead.
func (f *fixture) signal(s unix.Signal, pid int) {
	f.t.Helper()
	if err := unix.Kill(pid, s); err != nil {
		f.t.Fatal(err)
	}
	f.await(s.String(), 30*time.Second, func() bool {
		status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
		_, after, _ := strings.Cut(string(status), "\nState:\t")
		state, _, _ := strings.Cut(after, " ")
		if s == unix.SIGSTOP {
			return state == "T"
		}
		// As long as one of its threads is about to end, its files are open (exit_files in
		// kernel/exit.c).
		threads, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
		return state == "" || state == "Z" && len(threads) < 2 // proc_pid_status(5)
	})
}

// granted is the state of a system that is locked for everything but commands.
const granted helper.State = "granted"

func (f *fixture) state() helper.State {
	f.t.Helper()
	s := f.status()
	if !slices.ContainsFunc(s.Paths, s.Granted) {
		return s.State
	}
	if s.State != helper.Locked && s.State != helper.Unlocked {
		f.t.Errorf("while a command can write, the state is %s: %+v", s.State, s)
	}
	return granted
}

// isLocked reports whether it is locked for commands, too.
func (f *fixture) isLocked() bool { return f.state() == helper.Locked }

// lastRequest is the id of the last request of the state file.
func (f *fixture) lastRequest() string {
	state, err := statefile.Read(f.State)
	if err != nil || state.Last == nil {
		return ""
	}
	return state.Last.Request.ID
}

func (f *fixture) command(args ...string) {
	f.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		f.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// hasProcess reports whether a program with this name runs in the lab.
func hasProcess(name string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/comm")
	return slices.ContainsFunc(files, func(file string) bool {
		comm, _ := os.ReadFile(file) // it may have ended meanwhile
		return string(comm) == name+"\n"
	})
}
