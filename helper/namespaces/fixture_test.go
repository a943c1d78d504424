package namespaces

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// A fixture is a test system with who looks at it from its namespaces.
type fixture struct {
	*lab.System
	*testing.T
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return &fixture{System: lab.New(t), T: t}
}

func (f *fixture) visitor(subvolumes ...*Subvolume) *Visitor {
	f.Helper()
	v, err := NewVisitor(subvolumes...)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(v.Close)
	return v
}

// A resident is a shell in a mount namespace of its own.
type resident struct {
	t       *testing.T
	command *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Scanner
}

// settle starts a resident, who runs a script first; flags are more namespaces for it.
func (f *fixture) settle(script string, flags uintptr) *resident {
	f.Helper()
	r := &resident{t: f.T, command: exec.Command("sh", "-c", script+"\necho ready $?; while read -r line; do eval \"$line\"; echo answer $?; done")}
	r.command.Dir = f.Dir
	r.command.Stderr = os.Stderr
	r.command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | flags}
	if flags&unix.CLONE_NEWUSER != 0 {
		r.command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{Size: 1}}
		r.command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{Size: 1}}
	}
	var err error
	if r.stdin, err = r.command.StdinPipe(); err != nil {
		f.Fatal(err)
	}
	stdout, err := r.command.StdoutPipe()
	if err != nil {
		f.Fatal(err)
	}
	if err := r.command.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(r.leave)
	r.answers = bufio.NewScanner(stdout)
	if got := r.answer(); got != "ready 0" {
		f.Fatalf("a resident began with %q: %s", got, script)
	}
	return r
}

func (r *resident) answer() string {
	if !r.answers.Scan() {
		return "died"
	}
	return r.answers.Text()
}

// can reports whether a shell command succeeds in there.
func (r *resident) can(command string) bool {
	r.t.Helper()
	if _, err := io.WriteString(r.stdin, command+"\n"); err != nil {
		r.t.Fatal(err)
	}
	return r.answer() == "answer 0"
}

func (r *resident) leave() {
	r.stdin.Close()
	_ = r.command.Wait()
}

func (f *fixture) find() *Set {
	f.Helper()
	set, err := Find(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(set.Close)
	return set
}

// of returns the namespace that a task is in.
func (f *fixture) of(tid int) *Namespace {
	f.Helper()
	for _, n := range f.find().Namespaces {
		for _, t := range n.Tasks {
			if t == tid {
				return n
			}
		}
	}
	f.Fatalf("task %d is in no namespace that was found", tid)
	return nil
}

func (f *fixture) subvolume(path string) *Subvolume {
	f.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		f.Fatal(err)
	}
	defer unix.Close(fd)
	s, err := OpenSubvolume(fd)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	return s
}

// mounts returns the mounts by their points, relative to the fixture's directory.
func (f *fixture) mounts(n *Namespace, s *Subvolume) map[string]Mount {
	f.Helper()
	found := f.visitor(s).Mounts(context.Background(), []*Namespace{n})[0]
	if found.Err != nil {
		f.Fatal(found.Err)
	}
	byPoint := map[string]Mount{}
	for _, m := range found.Mounts {
		name, err := filepath.Rel(f.Dir, m.Point)
		if err != nil {
			f.Fatal(err)
		}
		byPoint[name] = m
	}
	return byPoint
}

func (f *fixture) set(n *Namespace, m Mount, readOnly bool) error {
	f.Helper()
	known := Found{In: n, Mounts: []Mount{m}}
	found := f.visitor(m.Of).SetReadOnly(context.Background(), []Found{known}, readOnly)[0]
	if found.Err != nil {
		f.Fatal(found.Err)
	}
	return found.Errs[0]
}

// thread keeps a thread of this process in a mount namespace of its own until the test
// ends.
func (f *fixture) thread() (tid int) {
	f.Helper()
	started, end := make(chan int), make(chan struct{})
	var settle func()
	settle = func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // that one has to stay
			go settle()
			<-end
			runtime.UnlockOSThread()
			return
		}
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			f.Error(err)
		}
		started <- unix.Gettid()
		<-end
	}
	go settle()
	f.Cleanup(func() { close(end) })
	return <-started
}
