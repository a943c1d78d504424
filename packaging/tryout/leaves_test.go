package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

// timeout is how long a test waits for anything.
const timeout = 2 * time.Minute

// waitFor waits until the condition holds, or the practice system has ended.
func (p *practice) waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !condition(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain for %s\n%s", timeout, what, p.out.String())
		}
		select {
		case <-p.ended:
			if !condition() {
				t.Fatalf("the practice system ended without %s: %v\n%s", what, p.cmd.ProcessState, p.out.String())
			}
			return
		default:
		}
	}
}

// A transcript is what appeared on a terminal. Safe for use by several goroutines.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// A practice is one run of the program, as "make run" runs it without a terminal.
type practice struct {
	cmd      *exec.Cmd
	out      transcript
	ended    chan struct{} // closed when cmd has
	pictures string
	seen     map[int]string // every process of it, and when that was started
	image    string         // of its root directory
	device   string
}

func startPractice(t *testing.T) *practice {
	t.Helper()
	p := preparePractice(t)
	p.start(t)
	return p
}

func preparePractice(t *testing.T) *practice {
	t.Helper()
	if err := lab.Unusable(); err != nil {
		lab.Unavailable(t, err.Error())
	}
	dir := t.TempDir()
	build, staged := buildDir(t), filepath.Join(dir, "staged")
	runMake(t, build, "install", "DESTDIR="+staged)
	p := &practice{pictures: filepath.Join(dir, "pictures"), seen: map[int]string{}, ended: make(chan struct{})}
	p.cmd = exec.Command(practiceProgram(build), "-staged", staged, "-pictures", p.pictures)
	return p
}

func (p *practice) start(t *testing.T) {
	t.Helper()
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says more
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, unless the test failed
		<-p.ended
	})
}

// look notes which processes belong to it, and from what its root is mounted.
func (p *practice) look() {
	children := map[int][]int{}
	started := map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …, the 22nd field is the start time (proc(5)).
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], pid)
		started[pid] = fields[19]
	}
	var note func(pid int)
	note = func(pid int) {
		for _, child := range children[pid] {
			p.seen[child] = started[child]
			p.noteRoot(child)
			note(child)
		}
	}
	note(p.cmd.Process.Pid)
}

func (p *practice) noteRoot(pid int) {
	mountinfo, _ := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	for line := range strings.Lines(string(mountinfo)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && fields[3] == "/ROOTVOL" && fields[4] == "/" {
			_, after, _ := strings.Cut(line, " - btrfs ")
			p.device, _, _ = strings.Cut(after, " ")
			p.image = backing(p.device)
		}
	}
}

func backing(device string) string {
	file, _ := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device), "loop/backing_file"))
	return strings.TrimSpace(string(file))
}

func (p *practice) left() []string {
	var left []string
	for pid, started := range p.seen {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		// A zombie has left everything; the test's PID 1 may be none that reaps.
		if fields[19] == started && fields[0] != "Z" {
			left = append(left, strings.TrimSpace(string(text)))
		}
	}
	if p.image != "" && backing(p.device) == p.image {
		left = append(left, p.device+" on "+p.image)
	}
	return left
}

// expectNothingLeft compares the machine with what it was before.
func (p *practice) expectNothingLeft(t *testing.T, before []string) {
	t.Helper()
	if len(p.seen) < 3 || p.image == "" {
		t.Fatalf("the practice system was not seen: %d processes, image %q", len(p.seen), p.image)
	}
	for deadline := time.Now().Add(timeout); len(p.left()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("left on the machine: %v", p.left())
		}
	}
	for _, fact := range machineState(t) {
		if !slices.Contains(before, fact) {
			t.Errorf("left on the machine: %s", fact)
		}
	}
}

// machineState is what a practice system could leave on the machine: mounts, and
// files where it is built and where sessions put theirs.
func machineState(t *testing.T) []string {
	t.Helper()
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	facts := strings.Split(string(mountinfo), "\n")
	for _, dir := range []string{lab.Base, "/run/practice", "/run/user", "/home", "/.usr"} {
		entries, _ := os.ReadDir(dir) // it may well not be there
		for _, e := range entries {
			facts = append(facts, filepath.Join(dir, e.Name()))
		}
	}
	return facts
}

func TestTour(t *testing.T) {
	before := machineState(t)
	p := startPractice(t)
	p.waitFor(t, "the last picture", func() bool {
		p.look()
		_, err := os.Stat(filepath.Join(p.pictures, "12-partly-locked.png"))
		return err == nil
	})
	<-p.ended
	if !p.cmd.ProcessState.Success() {
		t.Errorf("the tour ended with %v\n%s", p.cmd.ProcessState, p.out.String())
	}
	p.expectNothingLeft(t, before)
	pictures, err := filepath.Glob(filepath.Join(p.pictures, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	if len(pictures) != 12 {
		t.Errorf("the tour left the pictures %v, want 12", pictures)
	}
	seen := map[string]string{}
	for _, path := range pictures {
		picture, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[string(picture)]; ok {
			t.Errorf("%s is the same picture as %s", path, other)
		}
		seen[string(picture)] = path
	}
}

func TestKilledLeavesNothing(t *testing.T) {
	before := machineState(t)
	p := startPractice(t)
	p.waitFor(t, "the applet on the desktop", func() bool {
		p.look()
		for pid := range p.seen {
			if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(name) == "immutray\n" {
				return true
			}
		}
		return false
	})
	if err := p.cmd.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	p.expectNothingLeft(t, before)
}
