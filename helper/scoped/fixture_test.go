package scoped

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
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
	"immutray.org/helper/frontdesk"
	"immutray.org/helper/journal"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statefile"
	"immutray.org/helper/wholefile"
	"immutray.org/packaging/practice/lab"
)

// roleVariable makes the test binary a runner or a guardian instead;
// systemVariable names the directory with what it needs to know.
const (
	roleVariable   = "IMMUTRAY_TEST_ROLE"
	systemVariable = "IMMUTRAY_TEST_SYSTEM"
)

func TestMain(m *testing.M) {
	switch dir := os.Getenv(systemVariable); os.Getenv(roleVariable) {
	case "runner":
		os.Exit(runnerMain(dir))
	case "guardian":
		os.Exit(guardianMain(dir))
	}
	lab.Main(m)
}

// A setup is what runners and guardians are told in a file.
type setup struct {
	Config     config.Config
	SystemWide bool
	EvenSo     bool
	Reason     string
	InReach    string // why a guardian can't leave
	Deaths     int    // how many guardians are killed when they have lent,
	LastAnswer int    // after so many answers
	StopRunner bool   // when a guardian has lent
}

func readSetup(dir string) setup {
	var s setup
	data, err := os.ReadFile(filepath.Join(dir, "setup.json"))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		panic(err)
	}
	return s
}

// runnerMain is a small "immutectl run": it leaves the End, by its process id, in a file.
func runnerMain(dir string) int {
	s := readSetup(dir)
	os.Unsetenv(roleVariable)
	r := &Runner{
		Config: s.Config,
		Guardian: func() *exec.Cmd {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), roleVariable+"=guardian")
			return cmd
		},
		Unlocked: func(*helper.Result) { fmt.Fprintln(os.Stderr, "unlocked already") },
	}
	end, err := r.Run(helper.Run{
		ID: newID(), Since: time.Now(), User: "root", Reason: s.Reason, Command: os.Args[1:], PID: os.Getpid(), SystemWide: s.SystemWide, EvenSo: s.EvenSo,
	})
	left := leftEnd{Result: end.Result}
	if err != nil {
		left.Err = err.Error()
	} else if end.Err != nil {
		left.Err = end.Err.Error()
	}
	data, _ := json.Marshal(left)
	os.WriteFile(endFile(dir, os.Getpid()), data, 0o600)
	return end.Code
}

type leftEnd struct {
	Result *helper.Result
	Err    string
}

func endFile(dir string, pid int) string { return filepath.Join(dir, "end."+strconv.Itoa(pid)) }

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func guardianMain(dir string) int {
	s := readSetup(dir)
	if err := frontdesk.Leave(); err != nil {
		panic(err)
	}
	pid := strconv.Itoa(os.Getpid())
	if err := wholefile.Write(filepath.Join(dir, "guardian"), []byte(pid)); err != nil { // it is read at any time
		panic(err)
	}
	conn, err := net.FileConn(os.NewFile(GuardianSocket, "runner"))
	if err != nil {
		panic(err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	e := &engine.Engine{Config: s.Config, Journal: func(e journal.Entry) {
		fmt.Fprintf(log, "%s %s\n", e.Message, e.Fields[journal.Command])
	}}
	g := &Guardian{Engine: func(config.Config) *engine.Engine { return e }, Helper: direct{e}, Leave: func(context.Context) error {
		if s.InReach != "" {
			return errors.New(s.InReach)
		}
		return nil
	}, Inhibit: func(context.Context, helper.Run) (func(), error) { return func() {}, nil }}
	if g.Serve(ctx, &mortal{conn, dir, s.Deaths, s.LastAnswer, s.StopRunner}) != nil {
		return 1
	}
	return 0
}

// mortal is a guardian's end of the socket. After so many answers the next one kills it,
// until that many were killed.
type mortal struct {
	io.ReadWriteCloser
	dir             string
	deaths, answers int
	stopRunner      bool
}

func (m *mortal) Write(data []byte) (int, error) {
	for i := range m.deaths {
		if m.answers == 0 && os.Mkdir(filepath.Join(m.dir, "died."+strconv.Itoa(i)), 0o700) == nil {
			unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	}
	m.answers--
	if m.stopRunner && os.Mkdir(filepath.Join(m.dir, "stopped"), 0o700) == nil {
		unix.Kill(os.Getppid(), unix.SIGSTOP)
	}
	return m.ReadWriteCloser.Write(data)
}

// direct is a helper that does its work in this process.
type direct struct{ engine *engine.Engine }

func (d direct) Do(ctx context.Context, r helper.Request) (*helper.Result, error) {
	r.ID, r.User = newID(), "root"
	result := d.engine.Run(ctx, r)
	return result, result.Err()
}

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
	return f.engine.Run(context.Background(), helper.Request{Verb: verb, ID: newID(), UID: 1000, User: "rrs"})
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

// expect holds the state, and what the kernel lets anybody else do, against want.
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
		return state == "" || state == "Z" // proc_pid_status(5)
	})
}

// lent is the state of a system that is locked for all but commands.
const lent helper.State = "lent"

func (f *fixture) state() helper.State {
	f.t.Helper()
	s := f.status()
	if !slices.ContainsFunc(s.Paths, s.Lent) {
		return s.State
	}
	if s.State != helper.Locked && s.State != helper.Unlocked {
		f.t.Errorf("while something is lent the state is %s: %+v", s.State, s)
	}
	return lent
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
