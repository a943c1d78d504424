package run

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// A terminal is a shell with job control on a pseudo-terminal.
type terminal struct {
	f      *fixture
	master *os.File
	shell  *exec.Cmd
	seen   strings.Builder
}

func (f *fixture) terminal() *terminal {
	f.t.Helper()
	lab.Require(f.t, "bash:bash")
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	tm := &terminal{f: f, master: os.NewFile(uintptr(fd), "/dev/ptmx")}
	f.t.Cleanup(func() { tm.master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		f.t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		f.t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	defer slave.Close()
	runner := f.runner()
	tm.shell = exec.Command("env", "--default-signal", "bash", "--norc", "--noprofile", "-i")
	// Typed is "$RUN COMMAND", with a shell that is not sh for the runner's role.
	tm.shell.Env = append(runner.Env, "PS1=$ ", "TERM=dumb", "HISTFILE=", "RUN="+runner.Args[2])
	tm.shell.Env = append(tm.shell.Env, roleVariable+"=runner")
	tm.shell.Stdin, tm.shell.Stdout, tm.shell.Stderr = slave, slave, slave
	tm.shell.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := tm.shell.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		tm.shell.Process.Kill()
		tm.shell.Wait()
	})
	tm.sees("$ ")
	return tm
}

func (tm *terminal) types(text string) {
	tm.f.t.Helper()
	if _, err := io.WriteString(tm.master, text); err != nil {
		tm.f.t.Fatal(err)
	}
}

// sees waits until something has appeared since it last saw something.
func (tm *terminal) sees(want string) {
	tm.f.t.Helper()
	tm.master.SetReadDeadline(time.Now().Add(20 * time.Second))
	buffer := make([]byte, 4096)
	for !strings.Contains(tm.seen.String(), want) {
		n, err := tm.master.Read(buffer)
		tm.seen.Write(buffer[:n])
		if err != nil {
			tm.f.t.Fatalf("no %q on the terminal, but %q: %v", want, tm.seen.String(), err)
		}
	}
	_, rest, _ := strings.Cut(tm.seen.String(), want)
	tm.seen.Reset()
	tm.seen.WriteString(rest)
}

// What is seen differs from what is typed, which the terminal shows as well.
const job = `$RUN sh -c 'echo re""ady; exec sleep 60'` + "\n"

func TestCtrlC(t *testing.T) {
	f := newFixture(t)
	tm := f.terminal()
	tm.types(job)
	tm.sees("ready")
	tm.types("\x03")
	tm.sees("$ ")
	f.expect("after Ctrl-C", helper.Locked)
	tm.types("echo code=$?\n")
	tm.sees("code=130")
}

// waitsForGuardian brings a runner to where its command has ended with 9, and the guardian
// stands still until it is told to go on.
func (tm *terminal) waitsForGuardian() (goOn func()) {
	f := tm.f
	f.t.Helper()
	tm.types("$RUN sh -c 'echo re\"\"ady; read line; exit 9'\n")
	tm.sees("ready")
	guardian := f.guardian()
	signal := func(s unix.Signal) {
		f.t.Helper()
		if err := unix.Kill(guardian, s); err != nil {
			f.t.Fatal(err)
		}
	}
	signal(unix.SIGSTOP)
	tm.types("line\n")
	f.await("the command's end", 10*time.Second, func() bool { return !hasProcess("sh") })
	return func() { signal(unix.SIGCONT) }
}

// The Ctrl-C that has ended the command, or comes just after its end, does not cut short
// the waiting for what happens then.
func TestCtrlCAtTheEnd(t *testing.T) {
	f := newFixture(t)
	tm := f.terminal()
	goOn := tm.waitsForGuardian()
	tm.types("\x03")
	// There is nothing to see of a signal that changes nothing.
	for range 30 {
		if left, _ := filepath.Glob(f.Dir + "/end.*"); len(left) > 0 {
			t.Fatal("the runner did not wait for the guardian")
		}
		time.Sleep(10 * time.Millisecond)
	}
	goOn()
	tm.sees("$ ")
	f.expect("in the end", helper.Locked)
	tm.types("echo code=$?\n")
	tm.sees("code=9")
}

// Another one does, while the guardian goes on with its work.
func TestCtrlCWhileTheEndIsWaitedFor(t *testing.T) {
	f := newFixture(t)
	tm := f.terminal()
	goOn := tm.waitsForGuardian()
	f.await("the runner's end", 10*time.Second, func() bool {
		tm.types("\x03") // two that come at once are one
		left, _ := filepath.Glob(f.Dir + "/end.*")
		return len(left) == 1
	})
	f.expect("with a guardian that stands still", granted)
	goOn()
	f.await("locked", time.Second, f.isLocked)
}

func TestCtrlZ(t *testing.T) {
	f := newFixture(t)
	tm := f.terminal()
	// The command stops with us, or by itself; in TestAShell in a group of its own.
	for _, test := range []struct{ name, script, stop string }{
		{"Ctrl-Z", `read line; echo got-$line; exec sleep 60`, "\x1a"},
		{"by itself", `kill -STOP $$; read line; echo got-$line; exec sleep 60`, ""},
	} {
		tm.types("$RUN sh -c 'echo re\"\"ady; " + test.script + "'\n")
		tm.sees("ready")
		tm.types(test.stop)
		tm.sees("Stopped")
		tm.sees("$ ") // before, a shell may lose what is typed
		f.expect(test.name+", stopped", granted)
		tm.types("fg\n")
		tm.sees("sleep 60") // what goes on now
		tm.types("line\n")
		tm.sees("got-line")
		tm.types("\x03")
		tm.sees("$ ")
		f.expect(test.name+", ended", helper.Locked)
	}
}

// Hung up, the terminal is gone for the command as well.
func TestTheTerminalIsGone(t *testing.T) {
	f := newFixture(t)
	tm := f.terminal()
	tm.types(job)
	tm.sees("ready")
	f.expect("while it runs", granted)
	tm.master.Close()
	f.await("locked", time.Second, f.isLocked)
	f.await("the runner's end", 10*time.Second, func() bool {
		left, _ := filepath.Glob(f.Dir + "/end.*")
		return len(left) == 1
	})
}

// A command that takes the terminal for itself, as a shell does, gives it back.
func TestAShell(t *testing.T) {
	f := newFixture(t)
	tm := f.terminal()
	tm.types("$RUN env PS1='inner> ' bash --norc --noprofile -i\n")
	tm.sees("inner> ")
	tm.types("touch $ROOT/file && echo touch\"\"ed\n")
	tm.sees("touched")
	tm.types("sh -c 'echo sl\"\"eeping; exec sleep 60'\n")
	tm.sees("sleeping")
	tm.types("\x1a")
	tm.sees("Stopped")
	tm.sees("inner> ")
	tm.types("kill %1; suspend\n")
	tm.sees("Stopped")
	tm.sees("$ ")
	f.expect("suspended", granted)
	tm.types("fg\n")
	tm.sees("inner> ")
	tm.types("exit 9\n")
	tm.sees("$ ")
	tm.types("echo code=$?\n")
	tm.sees("code=9")
	f.expect("in the end", helper.Locked)
}
