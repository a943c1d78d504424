package desktop

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime is how long a program may take to end when asked to, before it is killed.
const stopTime = 5 * time.Second

// A Process is one program of the desktop.
type Process struct {
	Name string

	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{}
}

// start runs the command as the session's person, in a process group of its own.
func (s *Session) start(files []*os.File, name string, args ...string) (*Process, error) {
	p := &Process{Name: name, log: &logBuffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(name, args...)
	p.cmd.Env = s.Env()
	p.cmd.Dir = s.person.Home()
	p.cmd.ExtraFiles = files
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Credential: &syscall.Credential{Uid: s.person.UID, Gid: s.person.GID},
	}
	// A child that outlives the program, such as one started on the bus, would
	// hold the log's pipe open and Wait with it.
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says more
		close(p.done)
	}()
	s.processes = append(s.processes, p)
	return p, nil
}

// Start runs a program of the person's in this session.
func (s *Session) Start(name string, args ...string) (*Process, error) {
	return s.start(nil, name, args...)
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// PID returns the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

func (p *Process) state() string {
	if p.Ended() {
		return p.cmd.ProcessState.String()
	}
	return "running"
}

// Log returns what the program has printed.
func (p *Process) Log() string { return p.log.String() }

// Signal sends the program a signal.
func (p *Process) Signal(signal unix.Signal) error { return p.cmd.Process.Signal(signal) }

// Stop asks the program to end, kills its whole group when it does not, and
// returns when it is gone.
func (p *Process) Stop() {
	_ = p.Signal(unix.SIGTERM) // it may be gone already
	select {
	case <-p.done:
	case <-time.After(stopTime):
	}
	p.Kill()
}

// Kill ends the program and its group at once, as a crash would, and returns when
// it is gone.
func (p *Process) Kill() {
	_ = unix.Kill(-p.PID(), unix.SIGKILL) // it may be gone already
	<-p.done
}

// A logBuffer keeps what a program prints. Safe for use by several goroutines.
type logBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}
