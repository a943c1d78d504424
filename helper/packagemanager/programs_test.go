package packagemanager

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// emptyVar gives the test /var/lib and /run of its own: no package manager of the machine
// is in there, and no change of the test's leaves it.
func emptyVar(t *testing.T) {
	t.Helper()
	lab.Dir(t) // or the test ends here
	for _, dir := range []string{"/var/lib", "/run"} {
		if err := unix.Mount("test", dir, "tmpfs", unix.MS_NOSUID, "mode=0755"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	}
}

// A script waits in the middle of an installation for the test.
type script struct {
	path string // waits when it is run
	fifo string
}

func newScript(t *testing.T, dir string) script {
	t.Helper()
	s := script{filepath.Join(dir, "script"), filepath.Join(dir, "fifo")}
	if err := unix.Mkfifo(s.fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, s.path, 0o755, "#!/bin/sh\nread -r line < "+s.fifo+"\n")
	return s
}

// whileWaiting calls look while the command's script waits, and lets it go on.
func (s script) whileWaiting(t *testing.T, command *exec.Cmd, look func(pid int)) {
	t.Helper()
	out := filepath.Join(filepath.Dir(s.path), "output")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	command.Stdout, command.Stderr = f, f
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { command.Wait(); close(ended) }()
	// It can be opened only while someone waits for it.
	fd := -1
	for fd < 0 {
		select {
		case <-ended:
			said, _ := os.ReadFile(out)
			t.Fatalf("%s ended before its script: %s", command, said)
		case <-time.After(10 * time.Millisecond):
			fd, _ = unix.Open(s.fifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		}
	}
	look(command.Process.Pid)
	unix.Close(fd)
	<-ended
}

func write(t *testing.T, path string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func expectRunning(t *testing.T, when string, want helper.Busy) {
	t.Helper()
	got, err := Running()
	if err != nil || got == nil || *got != want {
		t.Errorf("%s, Running() = %+v, %v, want %+v", when, got, err, want)
		return
	}
	if !StillRuns(*got) {
		t.Errorf("%s, StillRuns(%+v) = false", when, *got)
	}
}

func expectNobody(t *testing.T, when string) {
	t.Helper()
	if got, err := Running(); err != nil || got != nil {
		t.Errorf("%s, Running() = %+v, %v, want nobody", when, got, err)
	}
}

func TestDpkg(t *testing.T) {
	lab.Require(t, "dpkg:dpkg", "dpkg-deb:dpkg")
	emptyVar(t)
	dir := lab.Dir(t)
	s := newScript(t, dir)
	for _, name := range []string{"status", "available", "info/format", "updates/.keep", "triggers/File"} {
		text := ""
		if name == "info/format" {
			text = "1\n"
		}
		write(t, filepath.Join("/var/lib/dpkg", name), 0o644, text)
	}
	write(t, filepath.Join(dir, "deb/DEBIAN/control"), 0o644,
		"Package: waits\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: waits\n")
	write(t, filepath.Join(dir, "deb/DEBIAN/preinst"), 0o755, "#!/bin/sh\n"+s.path+"\n")
	deb := filepath.Join(dir, "waits.deb")
	run(t, "dpkg-deb", "--root-owner-group", "--build", filepath.Join(dir, "deb"), deb)
	expectNobody(t, "before dpkg")
	// Not into the machine: the package is empty, and its directory is the test's.
	command := exec.Command("dpkg", "--log=/dev/null", "--instdir="+lab.Dir(t), "--force-script-chrootless", "--force-depends", "--install", deb)
	s.whileWaiting(t, command, func(pid int) {
		expectRunning(t, "in dpkg's script", helper.Busy{Manager: "dpkg", Lock: "/var/lib/dpkg/lock-frontend", PID: pid, Program: "dpkg"})
	})
	expectNobody(t, "after dpkg")
	run(t, "dpkg-query", "--show")
}

func TestRpm(t *testing.T) {
	lab.Require(t, "rpm:rpm", "rpmbuild:rpm")
	emptyVar(t)
	dir := lab.Dir(t)
	s := newScript(t, dir)
	spec := filepath.Join(dir, "waits.spec")
	write(t, spec, 0o644, "Name: waits\nVersion: 1\nRelease: 1\nSummary: waits\nLicense: x\nBuildArch: noarch\n%description\nwaits\n%pre\n"+s.path+"\n%files\n")
	run(t, "rpmbuild", "--quiet", "--define", "_topdir "+dir, "--define", "_dbpath /var/lib/rpm", "-bb", spec)
	packages, err := filepath.Glob(filepath.Join(dir, "RPMS/noarch/*.rpm"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("rpmbuild made %q", packages)
	}
	expectNobody(t, "before rpm")
	const lock = "/var/lib/rpm/.rpm.lock"
	install := exec.Command("rpm", "--dbpath", "/var/lib/rpm", "--nodeps", "--install", packages[0])
	s.whileWaiting(t, install, func(pid int) {
		expectRunning(t, "in rpm's script", helper.Busy{Manager: "rpm", Lock: lock, PID: pid, Program: "rpm"})
	})
	expectNobody(t, "after rpm")

	// Rpm 4.20 does that for a query, and anybody can: the file is everybody's to read.
	release := lockFrom(t, lock, "F_RDLCK", 65534)
	expectNobody(t, "while anybody has a lock for reading")
	release()
}

// lockFrom has a process take a lock on a file, and returns its end.
func lockFrom(t *testing.T, path, how string, uid int) (release func()) {
	t.Helper()
	lab.Require(t, "perl:perl-base", "setpriv:util-linux")
	holder := exec.Command("setpriv", fmt.Sprintf("--reuid=%d", uid), "--clear-groups", "perl", "-e", `use Fcntl;
		my ($path, $how) = @ARGV;
		open F, $how eq "F_RDLCK" ? "<" : "+<", $path or die "$path: $!";
		fcntl(F, F_SETLK, pack("s! s! x4 q q l x4", $how eq "F_RDLCK" ? F_RDLCK : F_WRLCK, 0, 0, 0, 0)) or die "$!";
		$| = 1; print "ready\n"; <STDIN>`, path, how)
	holder.Stderr = os.Stderr
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, len("ready"))); err != nil {
		t.Fatal(err)
	}
	return func() { stdin.Close(); holder.Wait() }
}

func TestPacman(t *testing.T) {
	lab.Require(t, "pacman:pacman-package-manager")
	emptyVar(t)
	dir := lab.Dir(t)
	s := newScript(t, dir)
	config := filepath.Join(dir, "pacman.conf")
	write(t, config, 0o644, "[options]\nSigLevel = Never\nDisableDownloadTimeout\nXferCommand = "+s.path+"\n[test]\nServer = http://127.0.0.1:9\n")
	if err := os.MkdirAll("/var/lib/pacman", 0o755); err != nil {
		t.Fatal(err)
	}
	expectNobody(t, "before pacman")
	refresh := exec.Command("pacman", "--config", config, "--root", dir, "--dbpath", "/var/lib/pacman",
		"--cachedir", dir, "--gpgdir", dir, "--hookdir", dir, "--logfile", "/dev/null", "--sync", "--refresh")
	s.whileWaiting(t, refresh, func(int) {
		expectRunning(t, "while pacman fetches", helper.Busy{Manager: "pacman", Lock: "/var/lib/pacman/db.lck"})
	})
	expectNobody(t, "after pacman")
	if left := LeftBehind(); len(left) > 0 {
		t.Errorf("after pacman %q is left behind", left)
	}

	// One that is killed leaves its lock behind.
	killed := exec.Command(refresh.Path, refresh.Args[1:]...)
	s.whileWaiting(t, killed, func(pid int) {
		if left := LeftBehind(); len(left) > 0 {
			t.Errorf("while pacman fetches %q is left behind", left)
		}
		unix.Kill(pid, unix.SIGKILL)
	})
	if left := LeftBehind(); !slices.Equal(left, []string{"/var/lib/pacman/db.lck"}) {
		t.Errorf("after pacman was killed %q is left behind", left)
	}
	expectNobody(t, "after pacman was killed")
}

// Dnf5's among them, which Debian does not have.
func TestRecordLocks(t *testing.T) {
	emptyVar(t)
	for _, l := range locks() {
		if l.kind != record || strings.HasPrefix(l.path, "/usr/") { // the machine's own
			continue
		}
		t.Run(l.path, func(t *testing.T) {
			write(t, l.path, 0o644, "")
			defer os.Remove(l.path)
			expectNobody(t, "with a mere file")
			release := lockFrom(t, l.path, "F_RDLCK", 65534)
			expectNobody(t, "with a user's lock for reading")
			release()
			release = lockFrom(t, l.path, "F_WRLCK", 0)
			holder, err := Running()
			if err != nil || holder == nil || holder.PID == 0 {
				t.Fatalf("Running() = %+v, %v, want a process", holder, err)
			}
			expectRunning(t, "with a lock for writing", helper.Busy{Manager: l.manager, Lock: l.path, PID: holder.PID, Program: "perl"})
			release()

			f, err := os.OpenFile(l.path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
				t.Fatal(err)
			}
			expectRunning(t, "with an open file description's lock", helper.Busy{Manager: l.manager, Lock: l.path})
		})
	}
}

func TestPIDFiles(t *testing.T) {
	emptyVar(t)
	const file = "/run/zypp.pid"
	at := func(text string) { write(t, file, 0o644, text) }
	at(fmt.Sprintf("%d\n", os.Getpid()))
	expectRunning(t, "with a running process", helper.Busy{Manager: "zypp", Lock: file, PID: os.Getpid(), Program: program(os.Getpid())})
	for _, text := range []string{"", "\n", "0\n", "-1\n", "1000000000\n", "x", "12 13"} {
		at(text)
		expectNobody(t, fmt.Sprintf("with %q", text))
	}
	// A number that was root's is anybody's, once root's process was killed.
	sleeper := exec.Command("setpriv", "--reuid=65534", "--clear-groups", "sleep", "1000")
	stdin, err := sleeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	at(fmt.Sprintln(sleeper.Process.Pid))
	for program(sleeper.Process.Pid) != "sleep" {
		time.Sleep(10 * time.Millisecond)
	}
	expectNobody(t, "with a user's process")
	sleeper.Process.Kill()
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	at(fmt.Sprintln(zombie.Process.Pid))
	for isRunning(zombie.Process.Pid) {
		time.Sleep(10 * time.Millisecond)
	}
	expectNobody(t, "with a process that has ended")
	zombie.Wait()
	sleeper.Wait()
}

func isRunning(pid int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return !strings.Contains(string(status), "\nState:\tZ")
}
