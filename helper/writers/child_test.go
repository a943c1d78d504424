package writers

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

// roleVariable makes the test binary play a program that holds something.
const roleVariable = "IMMUTRAY_WRITERS_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role, os.Args[1]))
	}
	lab.Main(m)
}

// roles are what a child can do with a path before it says that it is ready. What it
// opens stays open until the child ends.
var roles = map[string]func(path string) error{
	"write":          func(path string) error { return hold(path, unix.O_WRONLY) },
	"read and write": func(path string) error { return hold(path, unix.O_RDWR) },
	"append":         func(path string) error { return hold(path, unix.O_WRONLY|unix.O_APPEND) },
	"read":           func(path string) error { return hold(path, unix.O_RDONLY) },
	"ioctl only":     func(path string) error { return hold(path, unix.O_ACCMODE) },
	"path":           func(path string) error { return hold(path, unix.O_PATH|unix.O_RDWR) },
	"directory":      func(path string) error { return hold(path, unix.O_RDONLY|unix.O_DIRECTORY) },
	"nameless":       func(path string) error { return hold(path, unix.O_RDWR|unix.O_TMPFILE) },
	"write thrice":   writeThrice,
	"write deleted":  func(path string) error { return deleted(path, unix.O_RDWR) },
	"read deleted":   func(path string) error { return deleted(path, unix.O_RDONLY) },
	"map shared": func(path string) error {
		return mapped(path, unix.O_RDWR, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	},
	"map shared to read": func(path string) error { return mapped(path, unix.O_RDWR, unix.PROT_READ, unix.MAP_SHARED) },
	"map private": func(path string) error {
		return mapped(path, unix.O_RDWR, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	},
	"map private to read": func(path string) error { return mapped(path, unix.O_RDWR, unix.PROT_READ, unix.MAP_PRIVATE) },
	"map read shared":     func(path string) error { return mapped(path, unix.O_RDONLY, unix.PROT_READ, unix.MAP_SHARED) },
	"map read private": func(path string) error {
		return mapped(path, unix.O_RDONLY, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	},
	"map low":              mapLow,
	"map over":             mapOver,
	"map and write":        mapAndWrite,
	"fifo":                 holdFIFO,
	"socket":               holdSocket,
	"working directory":    os.Chdir,
	"nothing":              func(string) error { return nil },
	"thread of its own":    writeInThreadOfItsOwn,
	"first thread ended":   endFirstThread,
	"first thread, mapped": endFirstThreadMapped,
	"scan as nobody":       scanAsNobody,
}

func play(role, path string) int {
	if err := roles[role](path); err != nil {
		fmt.Printf("cannot play %q on %q: %v\n", role, path, err)
		return 1
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin) // the test closes it when it has seen enough
	return 0
}

// A child plays a role in a process of its own until the test has seen enough.
type child struct {
	pid   int
	stdin io.WriteCloser
	lines *bufio.Reader
	cmd   *exec.Cmd
}

// start starts a child and waits until it holds what it is to hold.
func start(t testing.TB, role, path string, options ...func(*exec.Cmd)) *child {
	t.Helper()
	return startProgram(t, "/proc/self/exe", role, path, options...)
}

func startProgram(t testing.TB, program, role, path string, options ...func(*exec.Cmd)) *child {
	t.Helper()
	cmd := exec.Command(program, path)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	for _, option := range options {
		option(cmd)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{pid: cmd.Process.Pid, stdin: stdin, lines: bufio.NewReader(stdout), cmd: cmd}
	t.Cleanup(c.stop)
	c.expect(t, "ready")
	return c
}

// expect waits for a line of the child.
func (c *child) expect(t testing.TB, want string) {
	t.Helper()
	line, err := c.lines.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != want {
		t.Fatalf("the child said %q (%v), want %q", line, err, want)
	}
}

// tell lets the child go on to its next step.
func (c *child) tell(t testing.TB) {
	t.Helper()
	if _, err := c.stdin.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
}

func (c *child) stop() {
	c.stdin.Close()
	c.cmd.Wait()
}

// step ends one step of a child: it says so and waits for the test.
func step() error {
	fmt.Println("ready")
	_, err := os.Stdin.Read(make([]byte, 1))
	return err
}

func hold(path string, flags int) error {
	_, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
	return err
}

func writeThrice(path string) error {
	for range 3 {
		if err := hold(path, unix.O_RDWR); err != nil {
			return err
		}
	}
	return nil
}

func deleted(path string, flags int) error {
	if err := hold(path, flags); err != nil {
		return err
	}
	return os.Remove(path)
}

// mapped maps a file and closes its descriptor.
func mapped(path string, flags, prot, how int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Mmap(fd, 0, os.Getpagesize(), prot, how)
	return err
}

func mapAndWrite(path string) error {
	if err := mapped(path, unix.O_RDWR, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return err
	}
	return hold(path, unix.O_RDWR)
}

// lowAddress has fewer than the eight digits that maps pads addresses to.
const lowAddress = 0x200000

func mapAt(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, _, errno := unix.Syscall6(unix.SYS_MMAP, lowAddress, uintptr(os.Getpagesize()),
		unix.PROT_READ, unix.MAP_SHARED|unix.MAP_FIXED, uintptr(fd), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func mapLow(path string) error { return mapAt(path, unix.O_RDWR) }

// mapOver maps a file read-only, and after a step another one, opened for writing,
// over the same addresses.
func mapOver(path string) error {
	if err := mapAt("/proc/self/exe", unix.O_RDONLY); err != nil {
		return err
	}
	if err := step(); err != nil {
		return err
	}
	return mapAt(path, unix.O_RDWR)
}

func holdFIFO(path string) error {
	if err := unix.Mkfifo(path+".fifo", 0o600); err != nil {
		return err
	}
	return hold(path+".fifo", unix.O_RDWR)
}

func holdSocket(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrUnix{Name: path + ".socket"})
}

// writeInThreadOfItsOwn opens the file in a thread that shares its descriptors with
// no other.
func writeInThreadOfItsOwn(path string) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the function
		err := unix.Unshare(unix.CLONE_FILES)
		if err == nil {
			err = hold(path, unix.O_RDWR)
		}
		result <- err
		select {}
	}()
	return <-result
}

// endFirstThread holds the file in a process whose first thread has ended.
func endFirstThread(path string) error {
	return withoutFirstThread(func() error { return hold(path, unix.O_RDWR) })
}

func endFirstThreadMapped(path string) error {
	return withoutFirstThread(func() error {
		return mapped(path, unix.O_RDWR, unix.PROT_READ, unix.MAP_PRIVATE)
	})
}

// init keeps the main goroutine on the first thread, which only it can end.
func init() {
	if strings.HasPrefix(os.Getenv(roleVariable), "first thread") {
		runtime.LockOSThread()
	}
}

func withoutFirstThread(prepare func() error) error {
	go func() {
		runtime.LockOSThread()
		// The first thread has ended when it shows as a zombie.
		for {
			stat, err := os.ReadFile("/proc/self/stat")
			if err != nil || strings.Contains(string(stat), ") Z ") {
				break
			}
			runtime.Gosched()
		}
		if err := prepare(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	return nil
}
