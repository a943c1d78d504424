package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// A HungServer is a FUSE server with one file, under any name, that does not answer some
// requests.
type HungServer struct {
	// Asked gets the opcode of each request without an answer.
	Asked chan uint32

	at     string
	fd     int // /dev/fuse
	leaves func(opcode uint32) bool
	ended  chan struct{}
	free   sync.Once
}

// Requests of include/uapi/linux/fuse.h.
const (
	fuseLookup  = 1
	fuseForget  = 2
	fuseGetattr = 3
	fuseOpen    = 14
	fuseFlush   = 25
	fuseInit    = 26
)

// MountHungServer mounts, until the test ends, a server on the directory at that stops to
// answer once its file has been opened.
func MountHungServer(t testing.TB, at string) *HungServer {
	t.Helper()
	opened := false
	return mountHungServer(t, at, func(opcode uint32) bool {
		before := opened
		opened = opened || opcode == fuseOpen
		return before
	})
}

// MountSilentServer mounts, until the test ends, a server on the directory at that never
// answers.
func MountSilentServer(t testing.TB, at string) *HungServer {
	t.Helper()
	return mountHungServer(t, at, func(uint32) bool { return true })
}

// HangInExec starts processes that hang in execve(2), because they close a file whose server,
// mounted on the directory at, does not answer. It returns their ids. Until the server is
// released or the test ends, not even SIGKILL ends them, and a reader of most of their files
// in /proc waits: they hold exec_update_lock (begin_new_exec in fs/exec.c).
func HangInExec(t testing.TB, at string, processes int) (*HungServer, []int) {
	t.Helper()
	Require(t, "perl:perl-base")
	s := mountHungServer(t, at, func(opcode uint32) bool { return opcode == fuseFlush })
	var pids []int
	for range processes {
		// Perl opens files so that execve(2) closes them.
		hung := exec.Command("perl", "-e", `open F, "+<", $ARGV[0] or die; exec "sleep", "1000"`, filepath.Join(at, "file"))
		hung.Stderr = os.Stderr
		if err := hung.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			s.Release(t)
			hung.Process.Kill()
			hung.Wait()
		})
		pids = append(pids, hung.Process.Pid)
	}
	for range pids {
		<-s.Asked
	}
	return s, pids
}

// HangLoop attaches a free loop device to a file whose server, mounted on the directory at,
// stops to answer then. The end of the test detaches it.
func HangLoop(t testing.TB, at string) (server *HungServer, device string) {
	t.Helper()
	var attached atomic.Bool
	s := mountHungServer(t, at, func(uint32) bool { return attached.Load() })
	loop, err := attachLoop(filepath.Join(at, "file"))
	if err != nil {
		t.Fatal(err)
	}
	attached.Store(true)
	t.Cleanup(func() {
		s.Release(t)
		loop.Close() // the last user
	})
	return s, loop.Name()
}

func mountHungServer(t testing.TB, at string, leaves func(opcode uint32) bool) *HungServer {
	t.Helper()
	requireInside(t)
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		Unavailable(t, "no /dev/fuse here: modprobe fuse")
	}
	if err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd)
	if err := unix.Mount("hung", at, "fuse", 0, options); err != nil {
		unix.Close(fd)
		t.Fatal(err)
	}
	s := &HungServer{Asked: make(chan uint32, 256), at: at, fd: fd, leaves: leaves, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		if err := s.serve(); !errors.Is(err, unix.ENODEV) {
			t.Errorf("the server ended with %v", err)
		}
		unix.Close(fd)
	}()
	t.Cleanup(func() { s.Release(t) })
	return s
}

// Release ends the server, and everything that waits for it.
func (s *HungServer) Release(t testing.TB) {
	s.free.Do(func() {
		// MNT_FORCE breaks the connection: waiting requests get an error.
		if err := unix.Unmount(s.at, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		<-s.ended
	})
}

func (s *HungServer) serve() error {
	buf := make([]byte, 1<<20)
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
		if s.leaves(opcode) {
			s.Asked <- opcode
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
			body = append(make([]byte, 40), fuseAttributes()...) // struct fuse_entry_out, valid for no time
			binary.NativeEndian.PutUint64(body[0:], 2)
		case fuseGetattr:
			body = append(make([]byte, 16), fuseAttributes()...) // struct fuse_attr_out, valid for no time
		case fuseOpen:
			body = make([]byte, 16) // struct fuse_open_out
		}
		if err := s.answer(buf[8:16], body); err != nil {
			return err
		}
	}
}

// fuseAttributes returns a struct fuse_attr of the file.
func fuseAttributes() []byte {
	attr := make([]byte, 88)
	binary.NativeEndian.PutUint64(attr[0:], 2)
	binary.NativeEndian.PutUint32(attr[60:], unix.S_IFREG|0o666)
	binary.NativeEndian.PutUint32(attr[64:], 1)
	return attr
}

func (s *HungServer) answer(unique, body []byte) error {
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
