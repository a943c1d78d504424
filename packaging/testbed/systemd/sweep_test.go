package systemd

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/statedir"
	"immutray.org/packaging/testbed/lab"
)

// sweepLimit is how long after the end of a window the system must be locked, or the status
// must say what blocks the lock while that is tried again.
const sweepLimit = time.Minute

// A fault happens in the middle of an operation.
type fault struct {
	name   string
	strike func(*sweep)
	undo   func(*sweep) // what only a person can mend; may be nil
	more   int          // how often it happens in a random step of an unlock
}

// faults happen in each of the moments.
func faults() []fault {
	const state, dir = "/run/immutray/" + statedir.StateFile, "/run/immutray"
	shell := func(script string) func(*sweep) { return func(s *sweep) { s.output("sh", "-c", script) } }
	signal := func(sig unix.Signal) func(*sweep) {
		return func(s *sweep) {
			for _, pid := range s.workers() {
				_ = unix.Kill(pid, sig) // it may have ended
			}
		}
	}
	spoil := func(name, script string) fault { return fault{"state " + name, shell(script), nil, 0} }
	inject := func(call, errno string) fault {
		return fault{call + " " + errno, func(s *sweep) { s.inject(call + ":error=" + errno) }, nil, 0}
	}
	bus := func(sig string) string {
		return "kill -" + sig + " $(systemctl show --property=MainPID --value dbus.service)"
	}
	return []fault{
		{"stopped", signal(unix.SIGSTOP), nil, 3}, // takes longest
		{"killed", signal(unix.SIGKILL), nil, 6},
		spoil("cut off", "echo '{' >"+state),
		spoil("oversized", "truncate --size=2M "+state),
		spoil("empty", ": >"+state),
		spoil("gone", "rm -f "+state),
		spoil("a directory", "rm -f "+state+"; mkdir "+state+"; touch "+state+"/file"),
		spoil("a link", "ln -sfn /nonexistent "+state),
		{"no room", shell("cat /dev/zero >" + dir + "/filler 2>/dev/null || true"), shell("rm " + dir + "/filler"), 0},
		{"no inodes", shell("i=0; while mkdir " + dir + "/filler.$((i+=1)) 2>/dev/null; do :; done"), shell("rmdir " + dir + "/filler.*"), 0},
		{"a silent bus", shell(bus("STOP")), shell(bus("CONT")), 0},
		{"no bus", shell("systemctl stop dbus.socket dbus.service"), shell("systemctl start dbus.socket dbus.service"), 0},
		{"isolate", shell("systemctl isolate bare.target"), shell("systemctl isolate other.target"), 0},
		{"daemon-reexec", shell("systemctl daemon-reexec"), nil, 0},
		inject("mount_setattr", "EIO"),
		inject("ioctl", "EIO"),
		inject("renameat", "EIO"),
	}
}

// A sweep is one booted system with one fault, which happens in every moment.
type sweep struct {
	*booted
	endWriter func()    // of what blocks a lock; nil when there is none
	backup    *exec.Cmd // blocks an unlock
	asker     *exec.Cmd // waits for an answer
	runs      int       // commands so far
}

// After every fault in the middle of an unlock, a window, a lock, the lock at the end of a
// window or a run: a minute after the end the system is locked, or the lock is tried again
// and the status says what blocks it.
func TestSweep(t *testing.T) {
	lab.Require(t, "strace:strace")
	// In parallel, because they mostly wait.
	var all sync.WaitGroup
	places := make(chan struct{}, 6)
	for _, f := range faults() {
		places <- struct{}{}
		all.Add(1)
		go func() {
			defer all.Done()
			defer func() { <-places }()
			t.Run(f.name, func(t *testing.T) { sweepWith(t, f) })
		}()
	}
	all.Wait()
}

func sweepWith(t *testing.T, f fault) {
	s := &sweep{booted: boot(t)}
	s.prepare()
	for _, m := range moments {
		s.fall(f, m)
	}
	for range f.more {
		s.fall(f, anyStep)
	}
}

func (s *sweep) prepare() {
	s.addTarget("other.target", "dbus.service sysinit.target")
	s.addTarget("bare.target", "")
	// With short times for another try and for writers.
	s.output("sh", "-c", `echo 'drain = "2s"' >>/etc/immutray/config.toml
for unit in relock reclaim; do
	mkdir /run/units/immutray-$unit@.service.d
	printf '[Service]\nRestartSec=2s\n' >/run/units/immutray-$unit@.service.d/soon.conf
done
mkdir -m 755 /run/immutray
mount -t tmpfs -o mode=755,size=256k,nr_inodes=64 none /run/immutray
systemctl daemon-reload
head -c 1M /dev/urandom >/mnt/root/etc/large`)
}

// A moment is when a fault happens.
type moment struct {
	name  string
	begin func(*sweep) // gets there
	goOn  func(*sweep) // removes what has stopped the operation there; may be nil
}

const sweepWindow = 3 * time.Second

var moments = []moment{
	{"unlock", func(s *sweep) {
		s.send()
		s.askFor("unlock", "--for", "3s")
		s.await("the unlock", func() bool { return len(s.timers()) > 0 })
	}, (*sweep).endSend},
	{"window", func(s *sweep) { s.open("3s") }, nil},
	{"lock", func(s *sweep) {
		s.open("4s")
		s.endWriter = s.startWriter()
		s.askFor("lock")
		s.await("the lock", func() bool { return len(s.workers()) > 0 })
	}, (*sweep).endWrite},
	{"relock", func(s *sweep) {
		s.open("2s")
		s.endWriter = s.startWriter()
		s.await("the lock at the end", func() bool { return len(s.workers()) > 0 })
	}, nil},
	{"run", func(s *sweep) { s.run() }, (*sweep).endCommand},
	{"run system-wide", func(s *sweep) { s.run("--system-wide") }, (*sweep).endCommand},
}

// anyStep is a random moment of an unlock, or just before or after it.
var anyStep = moment{"any step of an unlock", func(s *sweep) {
	s.askFor("unlock", "--for", "3s")
	s.await("the unlock", func() bool { return len(s.workers()) > 0 || len(s.timers()) > 0 })
	after := rand.N(60 * time.Millisecond)
	s.t.Logf("%v later:", after)
	time.Sleep(after)
}, nil}

// fall makes a fault happen at a moment.
func (s *sweep) fall(f fault, m moment) {
	s.t.Helper()
	what := f.name + " in " + m.name
	began := time.Now()
	s.request("lock")
	if !s.isLocked() {
		s.t.Fatalf("%s: it is not locked before", what)
	}
	m.begin(s)
	f.strike(s)
	if m.goOn != nil {
		m.goOn(s)
	}
	struck := time.Now()
	last := ""
	for !s.settled(&last) {
		if time.Since(struck) > sweepLimit+sweepWindow {
			s.t.Errorf("%s: %v later %s", what, time.Since(struck), last)
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	settled := time.Since(struck)
	how := last
	s.endWrite()
	released := time.Now()
	for !s.closed(&last) {
		if time.Since(released) > sweepLimit {
			s.t.Errorf("%s: %v after nothing was in the way any more %s", what, time.Since(released), last)
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	locked := time.Since(released)
	if f.undo != nil {
		f.undo(s)
	}
	s.tidy()
	s.t.Logf("%s: %s after %v, locked after %v more; all of it took %v", what, how, settled.Round(time.Millisecond), locked.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// settled reports whether the system is locked, or the lock is tried again and the status
// says what blocks it.
func (s *sweep) settled(how *string) bool {
	st := s.status()
	switch {
	case s.closed(how):
		return true
	case st.Overdue == nil || st.Overdue.Error == "":
		*how = fmt.Sprintf("it is %s, and the status does not say why", st.State)
		return false
	case s.endWriter != nil && (len(st.Overdue.Writers) != 1 || st.Overdue.Writers[0].Path != "/mnt/root/etc/busy"):
		*how = fmt.Sprintf("it is %s, and named is %+v", st.State, st.Overdue)
		return false
	}
	units := s.output("systemctl", "list-units", "--plain", "--no-legend", "--state=active,activating", "immutray-relock@*", "immutray-reclaim@*")
	*how = fmt.Sprintf("it is %s for %q, and tried again by %q", st.State, st.Overdue.Error, units)
	return units != ""
}

// closed reports whether no process can write.
func (s *sweep) closed(how *string) bool {
	st := s.status()
	open := st.State != helper.Locked || len(st.Runs) > 0 || !s.isLocked()
	for _, p := range st.Paths {
		open = open || p.State != helper.Locked
	}
	*how = fmt.Sprintf("it is %s, commands %+v", st.State, st.Runs)
	return !open
}

// status returns what every user may read.
func (s *sweep) status() (st helper.Status) {
	s.t.Helper()
	text, err := s.command("setpriv", "--reuid=65534", "--clear-groups", immutectl, "status", "--json").Output()
	if err == nil {
		err = json.Unmarshal(text, &st)
	}
	if err != nil {
		s.t.Fatalf("status: %v: %s", err, text)
	}
	return st
}

// open opens a window.
func (s *sweep) open(length string) {
	s.t.Helper()
	if r, _ := s.request("unlock", "--for", length); r.Outcome != helper.Done {
		s.t.Fatalf("unlock: %s: %s", r.Outcome, r.Error)
	}
}

func (s *sweep) askFor(args ...string) {
	s.t.Helper()
	s.asker = s.command(append([]string{helper.HelperPath}, args...)...)
	if err := s.asker.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sweep) endWrite() {
	if s.endWriter != nil {
		s.endWriter()
		s.endWriter = nil
	}
}

// send starts a backup of /mnt/root/etc, for which an unlock waits.
func (s *sweep) send() {
	s.t.Helper()
	s.backup = s.command("sh", "-c", "btrfs send --quiet /mnt/root/etc | { head -c 1; touch /run/sending; exec sleep 60; }")
	s.backup.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.backup.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.await("the backup", func() bool { return s.try("rm", "/run/sending") == nil })
}

func (s *sweep) endSend() {
	if s.backup != nil {
		_ = unix.Kill(-s.backup.Process.Pid, unix.SIGKILL)
		_ = s.backup.Wait()
		s.backup = nil
		s.await("the end of the backup", func() bool {
			return len(s.processes(func(name string, _ []string) bool { return name == "btrfs" })) == 0
		})
	}
}

func (s *sweep) run(mode ...string) {
	s.t.Helper()
	s.runs++
	s.output(append(append([]string{"systemd-run", fmt.Sprintf("--unit=caller%d", s.runs), "--collect", "--property=IgnoreOnIsolate=yes", immutectl, "run"}, mode...), "--",
		"sh", "-c", "touch /mnt/root/etc/file && touch /run/begun && exec sleep 77")...)
	s.await("the command", func() bool { return s.try("rm", "/run/begun") == nil })
}

func (s *sweep) endCommand() {
	for _, pid := range s.processes(func(name string, _ []string) bool { return name == "sleep" }) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// workers returns the helpers in units, and the guardian and the runner of a command.
func (s *sweep) workers() []int {
	return s.processes(func(name string, words []string) bool {
		line := strings.Join(words, " ")
		return name == "immutray-helper" && strings.Contains(line, " --work") ||
			name == "immutray-guard" || name == "immutectl" && strings.Contains(line, "immutectl run ")
	})
}

// processes returns the ids of matching processes, in the namespace of the test.
func (s *sweep) processes(is func(name string, words []string) bool) (pids []int) {
	namespace, _ := os.Readlink("/proc/" + s.init + "/ns/pid")
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		text, _ := os.ReadFile(line)
		words := strings.Split(string(text), "\x00")
		name, _ := os.ReadFile(filepath.Dir(line) + "/comm")
		if !is(strings.TrimSpace(string(name)), words) {
			continue
		}
		own, _ := os.Readlink(filepath.Dir(line) + "/ns/pid")
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line))); err == nil && own == namespace {
			pids = append(pids, pid)
		}
	}
	return pids
}

// inject makes a system call fail from now on in every worker.
func (s *sweep) inject(what string) {
	s.t.Helper()
	call, _, _ := strings.Cut(what, ":")
	for _, pid := range s.workers() {
		cmd := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call, "-e", "inject="+what, "-p", strconv.Itoa(pid))
		if err := cmd.Start(); err != nil {
			s.t.Fatal(err)
		}
		go func() { _ = cmd.Wait() }() // it ends with its process
		s.await("strace", func() bool {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			return err != nil || !strings.Contains(string(status), "TracerPid:\t0\n")
		})
	}
}

// tidy removes what a case has left, before the next one.
func (s *sweep) tidy() {
	s.t.Helper()
	s.endSend()
	if s.asker != nil {
		_ = s.asker.Wait()
		s.asker = nil
	}
	s.output("sh", "-c", "rm -rf /run/immutray/state.json; systemctl stop 'immutray-relock@*' 'caller*' 2>/dev/null; true")
}
