package systemd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// A booted system has systemd as PID 1 of its own namespaces, with the units as they are
// shipped; see boot.sh.
type booted struct {
	t    *testing.T
	init string // the pid of its systemd, as seen from here
	out  *bytes.Buffer
	end  func() // at once, like a power cut
}

// commandLimit is how long a command in the booted system may take: longer than the longest
// drain, and shorter than the time limit of all tests.
const commandLimit = 4 * time.Minute

// boot boots without a journal, or with one in a directory, as the boot with an id.
func boot(t *testing.T, journal ...string) *booted {
	t.Helper()
	lab.Require(t, "dbus-daemon:dbus-daemon", "unshare:util-linux", "nsenter:util-linux", "/lib/systemd/systemd:systemd")
	programs := filepath.Dir(lab.Program(t, "immutray-helper"))
	lab.Program(t, "immutectl")
	units, err := filepath.Abs(unitsDir)
	if err != nil {
		t.Fatal(err)
	}
	b := &booted{t: t, out: &bytes.Buffer{}}
	cgroup := ownCgroup(t)
	cmd := exec.Command("unshare", append([]string{"--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child", "--mount-proc",
		"sh", "boot.sh", cgroup, units, programs}, journal...)...)
	cmd.Stdout, cmd.Stderr = b.out, b.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // end kills it
	}()
	b.end = func() {
		_ = cmd.Process.Kill() // and with it everything in the namespaces
		<-ended
	}
	t.Cleanup(func() {
		b.end()
		if t.Failed() {
			t.Logf("systemd said:\n%s", b.out)
		}
	})
	b.await("systemd", func() bool {
		select {
		case <-ended:
			lab.Unavailable(t, "systemd does not start here: "+b.out.String())
		default:
		}
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		b.init = strings.TrimSpace(string(children))
		return b.init != "" && b.try("systemctl", "is-active", "--quiet", "default.target", "dbus.service") == nil
	})
	return b
}

// command runs in the booted system.
func (b *booted) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target=" + b.init, "--mount", "--pid", "--net", "--ipc", "--"}, args...)...)
}

func (b *booted) try(args ...string) error { return b.command(args...).Run() }

func (b *booted) output(args ...string) string {
	b.t.Helper()
	cmd := b.command(args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	hang := time.AfterFunc(commandLimit, func() {
		b.t.Logf("%q hangs; in there are\n%s", args, b.processes())
		_ = cmd.Process.Kill()
	})
	defer hang.Stop()
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("%q: %v: %s%s", args, err, &out, &said)
	}
	return out.String()
}

// call starts a program as caller.service. systemd may still have the previous one, although
// that has ended, and would refuse another one of its name.
func (b *booted) call(args ...string) {
	b.t.Helper()
	b.await("the last caller to be forgotten", func() bool {
		return b.output("systemctl", "show", "--property=LoadState", "--value", "caller.service") == "not-found\n"
	})
	b.output(append([]string{"systemd-run", "--unit=caller", "--collect", "--property=IgnoreOnIsolate=yes"}, args...)...)
}

// processes returns what every process in the booted system is doing, in the kernel too.
func (b *booted) processes() string {
	out, _ := b.command("sh", "-c", `ps -e -o pid,ppid,stat,etimes,wchan:20,args --forest
for task in $(pgrep immutray; pgrep immutectl); do head -1000 /proc/$task/status /proc/$task/task/*/stack /proc/$task/mountinfo; done
systemctl --no-pager list-jobs; ls -lR /run/immutray; head -1000 /run/immutray/*.json /run/immutray/*/*`).CombinedOutput()
	return string(out)
}

// ask calls the helper as root, and fails the test unless it answers "done" without a notice.
func (b *booted) ask(args ...string) *helper.Result {
	b.t.Helper()
	_, line, _ := strings.Cut(b.output(append([]string{helper.HelperPath}, args...)...), "\n")
	var r helper.Result
	if err := json.Unmarshal([]byte(line), &r); err != nil || r.Outcome != helper.Done || len(r.Notices) > 0 {
		b.t.Fatalf("%q: %v: %+v", args, err, r)
	}
	return &r
}

func (b *booted) await(what string, is func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited for %s in vain", what)
		}
	}
}

// bus is the system bus in there.
func (b *booted) bus() *dbus.Conn {
	b.t.Helper()
	conn, err := dbus.Connect("unix:path=/proc/" + b.init + "/root/run/dbus/system_bus_socket")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	return conn
}

func (b *booted) isLocked() bool {
	return b.try("sh", "-c", "! touch /mnt/root/probe 2>/dev/null && ! touch /mnt/root/etc/probe 2>/dev/null") == nil
}

// timers returns the timers for the ends of windows that are set.
func (b *booted) timers() []string {
	b.t.Helper()
	list := b.output("systemctl", "list-units", "--plain", "--no-legend", "--state=active", "immutray-relock@*.timer")
	return regexp.MustCompile(`(?m)^immutray-relock@\S+`).FindAllString(list, -1)
}

// startWriter has a process open a file for writing, and returns what ends it.
func (b *booted) startWriter() (end func()) {
	b.t.Helper()
	writer := b.command("sh", "-c", "exec 3>/mnt/root/etc/busy; echo; read x")
	ready, err := writer.StdoutPipe()
	var hold io.Closer
	if err == nil {
		hold, err = writer.StdinPipe()
	}
	if err == nil {
		err = writer.Start()
	}
	if err == nil {
		_, err = ready.Read(make([]byte, 1))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return func() {
		hold.Close()
		_ = writer.Wait()
	}
}
