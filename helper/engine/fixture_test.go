package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/btrfs"
	"immutray.org/helper/cmdline"
	"immutray.org/helper/config"
	"immutray.org/helper/lockstate"
	"immutray.org/helper/statedir"
	"immutray.org/packaging/testbed/lab"
)

// actorVariable makes the test binary play a program on a test system instead.
const actorVariable = "IMMUTRAY_TEST_ACTOR"

func TestMain(m *testing.M) {
	if role := os.Getenv(actorVariable); role != "" {
		os.Exit(act(role, os.Args[1]))
	}
	lab.Main(m)
}

// A fixture is a test system with an engine for it.
type fixture struct {
	*lab.System
	t      testing.TB
	engine *Engine
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	s := lab.New(t)
	return &fixture{System: s, t: t, engine: &Engine{Config: config.Config{
		Paths:    s.Protected(),
		Islands:  s.IslandPaths(),
		Drain:    100 * time.Millisecond,
		StateDir: s.State,
	}}}
}

func (f *fixture) run(verb helper.Verb) *helper.Result {
	return f.ask(helper.Request{Verb: verb, ID: "test"})
}

// ask is run for a request that says more than a verb.
func (f *fixture) ask(r helper.Request) *helper.Result {
	r.UID, r.User = 1000, "rrs"
	result := f.engine.Run(context.Background(), r)
	f.expectWords(result)
	return result
}

// expectWords checks that each of the errors and notices says "cannot" once.
func (f *fixture) expectWords(r *helper.Result) {
	f.t.Helper()
	for _, text := range append(strings.Split(r.Error, "; "), r.Notices...) {
		// "cannot allocate memory" is the kernel's, the other is no cause of anything.
		ours := strings.NewReplacer(unix.ENOMEM.Error(), "", "and cannot be inspected", "").Replace(text)
		if strings.Count(ours, "cannot") > 1 {
			f.t.Errorf("%s says \"cannot\" more than once: %s", r.Request.Verb, text)
		}
	}
}

// must runs a verb that has to succeed.
func (f *fixture) must(verb helper.Verb) *helper.Result {
	f.t.Helper()
	result := f.run(verb)
	if result.Outcome != helper.Done {
		f.t.Fatalf("%s: %s: %s", verb, result.Outcome, result.Error)
	}
	return result
}

func (f *fixture) status() helper.Status {
	return (&lockstate.Reader{Paths: f.Protected(), StateDir: f.State}).Read()
}

// expect compares the state, as every user may read it and as the kernel acts, with want.
func (f *fixture) expect(when string, want helper.State) {
	f.t.Helper()
	status := f.status()
	if status.State != want {
		f.t.Errorf("%s: state = %s, want %s: %+v", when, status.State, want, status.Paths)
	}
	for _, p := range status.Paths {
		err := f.Writable(p.Path)
		switch {
		case p.State == helper.Unlocked && err != nil:
			f.t.Errorf("%s: %s is unlocked, yet %v", when, p.Path, err)
		case p.State != helper.Unlocked && p.State != helper.Unknown && !errors.Is(err, unix.EROFS):
			f.t.Errorf("%s: %s is %s, yet creating a file there gives %v", when, p.Path, p.State, err)
		}
	}
}

// expectOthersWritable checks what must hold at every moment: nothing but the
// protected paths is read-only.
func (f *fixture) expectOthersWritable(when string) {
	f.t.Helper()
	for _, p := range f.IslandPaths() {
		if err := f.Writable(p); err != nil {
			f.t.Errorf("%s: %v", when, err)
		}
	}
	for _, p := range f.status().Paths {
		if p.Superblock != helper.Writable {
			f.t.Errorf("%s: the superblock is %s", when, p.Superblock)
		}
	}
}

// closeTop leaves nothing besides the protected paths that shows their subvolumes.
func (f *fixture) closeTop() {
	f.t.Helper()
	if err := f.CloseTop(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) command(args ...string) {
	f.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		f.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// commandLine has the kernel command line say something else until the test ends.
func (f *fixture) commandLine(text string) {
	f.t.Helper()
	file := filepath.Join(f.Dir, "cmdline")
	_, err := os.Stat(file)
	writeFile(f.t, file, text)
	if err == nil {
		return // it is mounted
	}
	f.command("mount", "--bind", file, cmdline.Path)
	f.t.Cleanup(func() {
		if err := unix.Unmount(cmdline.Path, unix.MNT_DETACH); err != nil {
			f.t.Error(err)
		}
	})
}

// remountReadOnly makes the superblock read-only, as the classic layout's script does. For a
// moment after a file was removed the kernel finds it busy (s_remove_count in
// fs/namespace.c), as long as another process' search for writers still looks at that file.
func (f *fixture) remountReadOnly(path string) {
	f.t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if err = unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err == nil {
			return
		}
	}
	f.t.Fatalf("cannot remount %s read-only: %v", path, err)
}

// setProperties does what btrfs(8) does for "property set PATH ro true".
func (f *fixture) setProperties() {
	f.t.Helper()
	for _, p := range f.Protected() {
		fd, err := unix.Open(p, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			f.t.Fatal(err)
		}
		err = btrfs.SetReadOnly(fd, true)
		unix.Close(fd)
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// setMountFlags does what mount(8) does with the options remount,bind,ro.
func (f *fixture) setMountFlags() {
	f.t.Helper()
	for _, p := range f.Protected() {
		if err := unix.Mount("", p, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			f.t.Fatalf("cannot remount %s read-only: %v", p, err)
		}
	}
}

// arrange puts the system into one of the states a person can find it in. It does so
// without starting programs, of which the tests would start thousands.
func (f *fixture) arrange(state string) {
	f.t.Helper()
	switch state {
	case "unlocked":
	case "locked":
		f.setProperties()
		f.setMountFlags()
	case "open_mount": // what the classic layout's script leaves behind when /home is in use
		f.setProperties()
	case "mount_only":
		f.setMountFlags()
	case "read_only_superblock":
		f.remountReadOnly(f.Root)
	case "classic_lock_on_an_idle_system":
		f.setProperties()
		f.remountReadOnly(f.Root)
		f.remountReadOnly(f.Etc)
	default:
		f.t.Fatalf("no state %q", state)
	}
}

var arrangements = []string{"unlocked", "locked", "open_mount", "mount_only", "read_only_superblock", "classic_lock_on_an_idle_system"}

// An actor is a program on the test system, in a process of its own. It does one thing when
// it starts, and its work once more for every line it is sent.
type actor struct {
	t       testing.TB
	command *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Scanner
}

func (f *fixture) start(role, path string) *actor {
	f.t.Helper()
	command := exec.Command("/proc/self/exe", path)
	command.Env = append(os.Environ(), actorVariable+"="+role)
	return startActor(f.t, command)
}

func startActor(t testing.TB, command *exec.Cmd) *actor {
	t.Helper()
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	a := &actor{t, command, stdin, bufio.NewScanner(stdout)}
	t.Cleanup(a.stop)
	if got := a.answer(); got != "ready" {
		t.Fatalf("actor %s: %s", command, got)
	}
	return a
}

// startDatabase is startActor for sqlite3, which answers what it is asked to select.
func startDatabase(t testing.TB, command *exec.Cmd) *actor {
	t.Helper()
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	a := &actor{t: t, command: command, answers: bufio.NewScanner(stdout)}
	if mode, started := a.answer(), a.answer(); mode != "wal" || started != "started" {
		t.Fatalf("sqlite3 started with %q, %q", mode, started)
	}
	return a
}

func (a *actor) pid() int { return a.command.Process.Pid }

func (a *actor) answer() string {
	a.t.Helper()
	if !a.answers.Scan() {
		return fmt.Sprintf("died: %v", a.command.Wait())
	}
	return a.answers.Text()
}

// work makes the actor do its work once more; it returns "ok" or what went wrong.
func (a *actor) work() string {
	a.t.Helper()
	if _, err := io.WriteString(a.stdin, "work\n"); err != nil {
		return fmt.Sprintf("died: %v", a.command.Wait())
	}
	return a.answer()
}

func (a *actor) stop() {
	if a.command.ProcessState == nil {
		a.stdin.Close()
		a.command.Wait()
	}
}

// act is the actor's side.
func act(role, path string) int {
	work, err := perform(role, path)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := work(); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("ok")
		}
	}
	return 0
}

// perform does what the role does at its start and returns its work.
func perform(role, path string) (work func() error, err error) {
	idle := func() error { return nil }
	switch role {
	case "waits in line":
		l := lineOf(path)
		err := l.Make()
		if err == nil {
			_, err = l.enter(ordinary)
		}
		return idle, err
	case "has the turn":
		turn, err := statedir.Dir(path).OpenLock()
		if err == nil {
			_, err = turn.Try()
		}
		return func() error { _ = turn; return nil }, err // or it would be closed one day
	}
	flags := os.O_RDWR | os.O_CREATE
	if role == "reads deleted" {
		flags = os.O_RDONLY
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	switch role {
	case "writes":
		return func() error {
			if _, err := f.WriteString("more\n"); err != nil {
				return err
			}
			return f.Sync()
		}, nil
	case "reads deleted":
		return func() error { _, err := f.Stat(); return err }, os.Remove(path)
	case "maps":
		return mapped(f)
	case "holds a dpkg lock":
		whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET}
		return idle, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &whole)
	}
	return nil, fmt.Errorf("no role %q", role)
}

// mapped maps the file for writing, shared, and closes its descriptor.
func mapped(f *os.File) (work func() error, err error) {
	const pages = 64
	if err := f.Truncate(pages * 4096); err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(int(f.Fd()), 0, pages*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	page := 0
	return func() error {
		// A page that was clean so far: storing into it is what kills a process whose
		// subvolume became read-only.
		memory[page*4096] = 1
		page++
		return unix.Msync(memory, unix.MS_SYNC)
	}, f.Close()
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
