package writers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/practice/lab"
)

// A hungServer is a FUSE server that lets one file be opened and then answers nothing
// any more.
type hungServer struct {
	fd    int         // /dev/fuse
	asked chan uint32 // what it was asked after it hung
}

// Requests of include/uapi/linux/fuse.h.
const (
	fuseLookup  = 1
	fuseForget  = 2
	fuseGetattr = 3
	fuseOpen    = 14
	fuseInit    = 26
)

// mountHungServer returns the server and what ends everything that waits for it.
func mountHungServer(t *testing.T, at string) (s *hungServer, release func()) {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		lab.Unavailable(t, "no /dev/fuse here: modprobe fuse")
	}
	if err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd)
	if err := unix.Mount("hung", at, "fuse", 0, options); err != nil {
		unix.Close(fd)
		t.Fatal(err)
	}
	s = &hungServer{fd: fd, asked: make(chan uint32, 16)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.serve(); !errors.Is(err, unix.ENODEV) {
			t.Errorf("the server ended with %v", err)
		}
		unix.Close(fd)
	}()
	return s, func() {
		// MNT_FORCE breaks the connection: who waits for an answer gets an error.
		if err := unix.Unmount(at, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		<-ended
	}
}

// serve answers until the file is open.
func (s *hungServer) serve() error {
	buf := make([]byte, 1<<20)
	opened := false
	for {
		n, err := unix.Read(s.fd, buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return err
		}
		if n < 40 {
			return fmt.Errorf("a request of %d bytes", n)
		}
		opcode := binary.NativeEndian.Uint32(buf[4:])
		if opcode == fuseForget {
			continue
		}
		if opened {
			s.asked <- opcode
			continue
		}
		var body []byte
		switch opcode {
		case fuseInit:
			body = make([]byte, 64) // struct fuse_init_out
			binary.NativeEndian.PutUint32(body[0:], 7)
			binary.NativeEndian.PutUint32(body[4:], 31)
			binary.NativeEndian.PutUint32(body[20:], 4096) // max_write
		case fuseLookup:
			body = append(make([]byte, 40), attributes()...) // struct fuse_entry_out, valid for no time
			binary.NativeEndian.PutUint64(body[0:], 2)
		case fuseGetattr:
			body = append(make([]byte, 16), attributes()...) // struct fuse_attr_out, valid for no time
		case fuseOpen:
			body = make([]byte, 16) // struct fuse_open_out
			opened = true
		}
		if err := s.answer(buf[8:16], body); err != nil {
			return err
		}
	}
}

// attributes returns a struct fuse_attr of the file.
func attributes() []byte {
	attr := make([]byte, 88)
	binary.NativeEndian.PutUint64(attr[0:], 2)
	binary.NativeEndian.PutUint32(attr[60:], unix.S_IFREG|0o666)
	binary.NativeEndian.PutUint32(attr[64:], 1)
	return attr
}

func (s *hungServer) answer(unique, body []byte) error {
	out := make([]byte, 16, 16+len(body)) // struct fuse_out_header
	binary.NativeEndian.PutUint32(out[0:], uint32(16+len(body)))
	if body == nil {
		errno := -int32(unix.ENOSYS)
		binary.NativeEndian.PutUint32(out[4:], uint32(errno))
	}
	copy(out[8:], unique)
	_, err := unix.Write(s.fd, append(out, body...))
	return err
}

// TestHungServer scans while a program has a file open for writing that any question
// to its server would wait for without end.
func TestHungServer(t *testing.T) {
	s := lab.New(t)
	path := create(t, filepath.Join(s.Root, "file"))
	c := start(t, "write", path)
	at := t.TempDir()
	server, release := mountHungServer(t, at)
	released := false
	defer func() {
		if !released {
			release()
		}
	}()
	start(t, "write", filepath.Join(at, "hung"))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found, err := new(Scanner).Scan(ctx, s.Protected())
	if err != nil || len(found) != 1 || found[0].PID != c.pid {
		t.Errorf("Scan = %+v, %v, want the one writer", found, err)
	}
	select {
	case opcode := <-server.asked:
		t.Errorf("the scan asked the server (request %d)", opcode)
	default:
	}
	// To know that the server really hangs: a plain stat does wait for it.
	answered := make(chan error)
	go func() {
		_, err := os.Stat(filepath.Join(at, "hung"))
		answered <- err
	}()
	<-server.asked
	release()
	released = true
	if err := <-answered; err == nil {
		t.Error("the server answered")
	}
}

// TestContextEnds scans a process that keeps the scan waiting for its mappings.
func TestContextEnds(t *testing.T) {
	proc := t.TempDir()
	for _, dir := range []string{"7/fd", "7/task/7"} {
		if err := os.MkdirAll(filepath.Join(proc, dir), 0o700); err != nil {
			t.Fatal(err)
		}
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
	var incomplete *IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Processes != 1 || !errors.Is(err, context.Canceled) || len(found) > 0 {
		t.Errorf("Scan = %+v, %v, want nothing, and 1 process left out because the context was cancelled", found, err)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
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
