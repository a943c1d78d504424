package writers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// TestHungServer scans while a program has a file open for writing that any question
// to its server would wait for without end.
func TestHungServer(t *testing.T) {
	s := lab.New(t)
	path := create(t, filepath.Join(s.Root, "file"))
	c := start(t, "write", path)
	at := t.TempDir()
	server := lab.MountHungServer(t, at)
	start(t, "write", filepath.Join(at, "hung"))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found, err := new(Scanner).Scan(ctx, s.Protected())
	if err != nil || len(found) != 1 || found[0].PID != c.pid {
		t.Errorf("Scan = %+v, %v, want the one writer", found, err)
	}
	select {
	case opcode := <-server.Asked:
		t.Errorf("the scan asked the server (request %d)", opcode)
	default:
	}
	// To know that the server really hangs: a plain stat does wait for it.
	answered := make(chan error)
	go func() {
		_, err := os.Stat(filepath.Join(at, "hung"))
		answered <- err
	}()
	<-server.Asked
	server.Release(t)
	if err := <-answered; err == nil {
		t.Error("the server answered")
	}
}

// TestAProcessThatHangsIsNamed: whoever looks at its descriptors or mappings, or asks what
// program it is, waits with it.
func TestAProcessThatHangsIsNamed(t *testing.T) {
	s := lab.New(t)
	c := start(t, "write", create(t, filepath.Join(s.Root, "file")))
	server, pids := lab.HangInExec(t, t.TempDir(), 1)
	hung := helper.Writer{Kind: helper.WriterUnknown, PID: pids[0], Program: "perl", User: "root", Unit: unitOf(t, pids[0])}
	scanner := new(Scanner)
	for _, limit := range []time.Duration{15 * time.Second, time.Second} {
		begin := time.Now()
		found, err := scanner.Scan(t.Context(), s.Protected())
		if err != nil || len(found) != 2 || found[0] != hung || found[1].PID != c.pid {
			t.Errorf("Scan = %+v, %v, want %+v and the writer %d", found, err, hung, c.pid)
		}
		// The second time it is known to hang.
		if took := time.Since(begin); took > limit {
			t.Errorf("the scan took %v", took)
		}
	}
	server.Release(t)
	for {
		found, err := scanner.Scan(t.Context(), s.Protected())
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 1 && found[0].PID == c.pid {
			break
		}
	}
}

// TestManyProcessesThatHang are more than a scan has threads for.
func TestManyProcessesThatHang(t *testing.T) {
	s := lab.New(t)
	_, pids := lab.HangInExec(t, t.TempDir(), maxWorkers+10)
	scanner := new(Scanner)
	for range 3 {
		begin := time.Now()
		found, err := scanner.Scan(t.Context(), s.Protected())
		var incomplete *IncompleteError
		if !errors.As(err, &incomplete) || incomplete.Processes < 10 {
			t.Errorf("Scan = %v, want 10 processes left out at least", err)
		}
		named := 0
		for _, w := range found {
			if slices.Contains(pids, w.PID) && w.Kind == helper.WriterUnknown {
				named++
			}
		}
		if named != maxWorkers {
			t.Errorf("%d of those that hang are named, want %d", named, maxWorkers)
		}
		if took := time.Since(begin); took > Timeout+5*time.Second {
			t.Errorf("the scan took %v", took)
		}
	}
	if threads, err := os.ReadDir("/proc/self/task"); err != nil || len(threads) > maxWorkers+40 {
		t.Errorf("%d threads are left, %v", len(threads), err)
	}
}

// TestContextEnds scans a process that keeps the scan waiting for its mappings.
func TestContextEnds(t *testing.T) {
	found, err := scanUntilCut(t, "Name:\tseven\nKthread:\t0\n")
	if err != nil || len(found) != 1 || found[0].Kind != helper.WriterUnknown || found[0].PID != 7 {
		t.Errorf("Scan = %+v, %v, want that it is not known of the process", found, err)
	}
}

// A kernel thread on a slow machine is no possible writer.
func TestAThreadOfTheKernelIsNotNamed(t *testing.T) {
	if found, err := scanUntilCut(t, "Name:\tkworker\nKthread:\t1\n"); err != nil || len(found) > 0 {
		t.Errorf("Scan = %+v, %v, want none", found, err)
	}
}

// scanUntilCut scans one process, with that status, until the context ends while the scan
// waits for its mappings.
func scanUntilCut(t *testing.T, status string) ([]helper.Writer, error) {
	t.Helper()
	proc := t.TempDir()
	for _, dir := range []string{"7/fd", "7/task/7"} {
		if err := os.MkdirAll(filepath.Join(proc, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(proc, "7/comm"), []byte("seven\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proc, "7/status"), []byte(status), 0o600); err != nil {
		t.Fatal(err)
	}
	maps := filepath.Join(proc, "7/task/7/maps")
	if err := unix.Mkfifo(maps, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	released := make(chan error, 1)
	go func() {
		// It can be opened only while someone waits for it.
		fd, err := unix.Open(maps, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		for errors.Is(err, unix.ENXIO) {
			runtime.Gosched()
			fd, err = unix.Open(maps, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		}
		cancel()
		if err == nil {
			t.Cleanup(func() { unix.Close(fd) })
		}
		released <- err
	}()
	found, err := (&Scanner{Proc: proc, Sys: emptySys(t)}).Scan(ctx, []string{t.TempDir()})
	if err := <-released; err != nil {
		t.Error(err)
	}
	return found, err
}

func TestContextEndedBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	proc := t.TempDir()
	for _, pid := range []string{"1", "2", "3"} {
		if err := os.Mkdir(filepath.Join(proc, pid), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	_, err := (&Scanner{Proc: proc, Sys: emptySys(t)}).Scan(ctx, []string{t.TempDir()})
	var incomplete *IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Processes != 3 || !errors.Is(err, context.Canceled) {
		t.Errorf("Scan = %v, want 3 processes left out because the context was cancelled", err)
	}
}

// emptySys is a sysfs of a machine without block devices.
func emptySys(t *testing.T) string {
	t.Helper()
	sys := t.TempDir()
	if err := os.Mkdir(filepath.Join(sys, "block"), 0o700); err != nil {
		t.Fatal(err)
	}
	return sys
}

// TestALoopDeviceThatHangs: to say where its file is, the kernel asks the file's server.
// That hides no other loop device.
func TestALoopDeviceThatHangs(t *testing.T) {
	s := lab.New(t)
	var want []string
	hold := func() {
		path := create(t, filepath.Join(s.Root, "image"+strconv.Itoa(len(want))))
		must(t, "truncate", "--size=1M", path)
		device := must(t, "losetup", "--find", "--show", path)
		t.Cleanup(func() { must(t, "losetup", "--detach", device) })
		want = append(want, path)
	}
	hold()
	hold()
	server, _ := lab.HangLoop(t, t.TempDir())
	hold()
	hold()
	scanner := new(Scanner)
	for _, limit := range []time.Duration{15 * time.Second, time.Second} {
		begin := time.Now()
		found, err := scanner.Scan(t.Context(), s.Protected())
		var incomplete *IncompleteError
		if !errors.As(err, &incomplete) || incomplete.Processes != 0 || incomplete.Devices != 1 {
			t.Errorf("Scan = %v, want one device left out", err)
		}
		var got []string
		for _, w := range found {
			got = append(got, w.Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("Scan = %q, want %q", got, want)
		}
		if took := time.Since(begin); took > limit {
			t.Errorf("the scan took %v", took)
		}
	}
	select {
	case <-server.Asked:
	default:
		t.Error("the server was not asked, so nothing hung")
	}
}
