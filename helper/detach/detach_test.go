package detach

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) {
	if os.Getenv(probeVariable) != "" {
		os.Exit(probe())
	}
	lab.Main(m)
}

// probeVariable makes the test program report what FromCaller makes of it.
const probeVariable = "IMMUTRAY_TEST_PROBE"

type surroundings struct {
	Error   string
	Environ []string
	Dir     string
	Umask   int
	Ignored []bool // PIPE HUP INT QUIT TSTP TTIN TTOU
	Leader  bool   // of its own session
	Limits  map[string]unix.Rlimit
}

func probe() int {
	var s surroundings
	if err := FromCaller(); err != nil {
		s.Error = err.Error()
	}
	s.Environ = os.Environ()
	s.Dir, _ = os.Getwd()
	s.Umask = unix.Umask(0)
	for _, sig := range []os.Signal{unix.SIGPIPE, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU} {
		s.Ignored = append(s.Ignored, signal.Ignored(sig))
	}
	sid, _ := unix.Getsid(0)
	s.Leader = sid == os.Getpid()
	s.Limits = map[string]unix.Rlimit{}
	for _, l := range limits() {
		var have unix.Rlimit
		unix.Getrlimit(l.resource, &have)
		s.Limits[l.name] = have
	}
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		return 1
	}
	return 0
}

// leave runs the probe, started by a shell after the commands of setup and by the
// last of them, if it ends in "exec …".
func leave(t *testing.T, setup string, env ...string) surroundings {
	t.Helper()
	lab.Require(t, "prlimit:util-linux", "setpriv:util-linux")
	if !strings.Contains(setup, "exec ") {
		setup += "\nexec "
	}
	cmd := exec.Command("/bin/sh", "-c", setup+programForAll(t))
	// The race detector would sleep for a second before it lets the probe end.
	cmd.Env = append(env, probeVariable+"=1", "PATH="+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the probe failed: %v: %s", err, out)
	}
	var s surroundings
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return s
}

func TestFromCaller(t *testing.T) {
	s := leave(t, "umask 000; cd /tmp; trap '' INT; prlimit --pid $$ --core=1000: --fsize=1000000: --nofile=33: --cpu=100:",
		"PKEXEC_UID=1000", "HOME=/root", "LD_PRELOAD=", "GODEBUG=x=1", "LANG=de_DE.UTF-8")
	if s.Error != "" {
		t.Fatal(s.Error)
	}
	if len(s.Environ) > 0 {
		t.Errorf("the environment has %q", s.Environ)
	}
	if s.Dir != "/" || s.Umask != 0o077 || !s.Leader {
		t.Errorf("directory %s, umask %03o, session leader %t", s.Dir, s.Umask, s.Leader)
	}
	if want := []bool{true, true, true, true, true, true, true}; !reflect.DeepEqual(s.Ignored, want) {
		t.Errorf("ignored signals %v, want all", s.Ignored)
	}
	if core := s.Limits["RLIMIT_CORE"]; core.Cur != 0 {
		t.Errorf("RLIMIT_CORE is %v, want 0", core)
	}
	for _, name := range []string{"RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_DATA"} {
		if l := s.Limits[name]; l.Cur != unix.RLIM_INFINITY {
			t.Errorf("%s is %v, want no limit", name, l)
		}
	}
	if files := s.Limits["RLIMIT_NOFILE"]; files.Cur < 1024 {
		t.Errorf("RLIMIT_NOFILE is %v, want 1024 at least", files)
	}
}

// Limits that can't be raised are said, so that nothing is begun.
func TestFromCallerFailsClosed(t *testing.T) {
	s := leave(t, "prlimit --pid $$ --fsize=1000000:1000000\n"+asUser())
	if want := fmt.Sprintf("cannot set RLIMIT_FSIZE: %v", syscall.EPERM); s.Error != want {
		t.Errorf("error %q, want %q", s.Error, want)
	}
}

// asUser starts what follows as a user who is not root.
func asUser() string {
	if os.Getuid() != 0 {
		return "exec "
	}
	return "exec setpriv --reuid=65534 --regid=65534 --clear-groups "
}

// programForAll returns a copy of the test program that everyone can run: the program
// itself may lie where only root can read.
func programForAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "probe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := dir + "/probe"
	for _, err := range []error{os.Chmod(dir, 0o755), os.WriteFile(path, data, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// Whoever waits for the end of the output must not wait for the end of the window.
func TestOutput(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	if err := discard(int(write.Fd())); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(read); err != nil || len(data) > 0 {
		t.Errorf("read %q, %v, want the end", data, err)
	}
}
