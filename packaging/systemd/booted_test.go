package systemd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"immutray.org/helper"
	"immutray.org/helper/statefile"
	"immutray.org/packaging/testbed/lab"
)

// A booted system has systemd as PID 1 of its own namespaces, with the units as they are
// shipped; see boot.sh.
type booted struct {
	t    *testing.T
	init string // the pid of its systemd, as seen from here
	out  *bytes.Buffer
	end  func() // at once, as if the power went
}

// commandLimit is how long a command in there may take: longer than the longest drain, and
// shorter than what the tests have as a whole.
const commandLimit = 4 * time.Minute

// boot boots without a journal, or with the one of a directory and the id of a boot.
func boot(t *testing.T, journal ...string) *booted {
	t.Helper()
	lab.Require(t, "dbus-daemon:dbus-daemon", "unshare:util-linux", "nsenter:util-linux", "/lib/systemd/systemd:systemd")
	programs := filepath.Dir(lab.Program(t, "immutray-helper"))
	lab.Program(t, "immutectl")
	units, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	b := &booted{t: t, out: &bytes.Buffer{}}
	cgroup := ownCgroup(t)
	cmd := exec.Command("unshare", append([]string{"--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child", "--mount-proc",
		"sh", filepath.Join(units, "boot.sh"), cgroup, units, programs}, journal...)...)
	cmd.Stdout, cmd.Stderr = b.out, b.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed in the end
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

// call starts a program as caller.service. systemd may not have forgotten the last one yet
// when that has ended, and would refuse another of its name.
func (b *booted) call(args ...string) {
	b.t.Helper()
	b.await("the last caller to be forgotten", func() bool {
		return b.output("systemctl", "show", "--property=LoadState", "--value", "caller.service") == "not-found\n"
	})
	b.output(append([]string{"systemd-run", "--unit=caller", "--collect", "--property=IgnoreOnIsolate=yes"}, args...)...)
}

// processes tells what every process in there is doing, in the kernel too.
func (b *booted) processes() string {
	out, _ := b.command("sh", "-c", `ps -e -o pid,ppid,stat,etimes,wchan:20,args --forest
for task in $(pgrep immutray; pgrep immutectl); do head -1000 /proc/$task/status /proc/$task/task/*/stack /proc/$task/mountinfo; done
systemctl --no-pager list-jobs; ls -lR /run/immutray; head -1000 /run/immutray/*.json /run/immutray/*/*`).CombinedOutput()
	return string(out)
}

// ask asks the front desk, and wants it done.
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

// timers returns the instances that are armed.
func (b *booted) timers() []string {
	b.t.Helper()
	list := b.output("systemctl", "list-units", "--plain", "--no-legend", "--state=active", "immutray-relock@*.timer")
	return regexp.MustCompile(`(?m)^immutray-relock@\S+`).FindAllString(list, -1)
}

// overdue returns what the lock at the end of a window waits for, as everybody may read it.
func (b *booted) overdue() *helper.Overdue {
	b.t.Helper()
	var s statefile.State
	text := b.output("setpriv", "--reuid=65534", "--clear-groups", "cat", "/run/immutray/state.json")
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		b.t.Fatalf("%v: %s", err, text)
	}
	return s.Overdue
}

// awaitOverdue waits until a shell is on record as the one that is in the way, and returns
// when that was.
func (b *booted) awaitOverdue() time.Time {
	b.t.Helper()
	var o *helper.Overdue
	b.await("the record of the blocked lock", func() bool {
		o = b.overdue()
		return o != nil
	})
	if o.Outcome != helper.Blocked || len(o.Writers) != 1 || o.Writers[0].Path != "/mnt/root/etc/busy" {
		b.t.Errorf("on record is %+v, want one writer of /mnt/root/etc/busy", o)
	}
	return time.Now()
}

// Under the units as they are shipped, with everything that they forbid, by a real
// systemd.
func TestWindowsUnderSystemd(t *testing.T) {
	b := boot(t)
	b.ask("lock")
	if !b.isLocked() {
		t.Fatal("it is not locked")
	}

	b.ask("unlock", "--for", "1h")
	first := b.timers()
	b.ask("unlock", "--for", "2h")
	if second := b.timers(); len(first) != 1 || len(second) != 1 || first[0] == second[0] {
		t.Errorf("timers %q, after the extension %q, want one, and then another", first, second)
	}
	// As when the clock is set, or the machine wakes up.
	before := b.timers()
	b.output("systemctl", "start", "immutray-relock@early.service")
	if after := b.timers(); len(after) != 1 || after[0] == before[0] || b.isLocked() {
		t.Errorf("timers %q before a timer that came too early, %q after it, want one that is new", before, after)
	}
	b.ask("unlock", "--until-locked")
	if got := b.timers(); len(got) > 0 {
		t.Errorf("timers of a window without an end: %q", got)
	}
	b.ask("unlock", "--for", "1h")
	b.ask("lock")
	if got := b.timers(); len(got) > 0 {
		t.Errorf("timers after the lock: %q", got)
	}

	// An installation has systemd read its units again, and a writer is in the way.
	r := b.ask("unlock", "--for", "3s")
	if b.isLocked() {
		t.Error("it is locked after the unlock")
	}
	b.output("systemctl", "daemon-reload")
	writer := b.command("sh", "-c", "exec 3>/mnt/root/etc/busy; read x")
	hold, err := writer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	unit := "immutray-relock@" + r.Request.ID + ".service"
	reported := b.awaitOverdue()
	if late := reported.Sub(*r.Status.Window.Until); late > 10*time.Second {
		t.Errorf("what is in the way was on record %v after the end of the window, want 10s at most", late)
	}
	b.await("the blocked lock", func() bool {
		return strings.Contains(b.output("systemctl", "show", "--property=SubState", unit), "auto-restart")
	})
	hold.Close()
	_ = writer.Wait()
	released := time.Now()
	b.await("the lock", b.isLocked)
	if took := time.Since(released); took > 35*time.Second {
		t.Errorf("locked %v after the writer was gone, want 35s at most", took)
	}
	b.await("the end of the record", func() bool { return b.overdue() == nil })
	b.await("the end of the timers", func() bool { return len(b.timers()) == 0 })

	// A timer with nothing to start is none, and without one nothing is unlocked.
	b.output("rm", "/run/units/"+relock)
	b.output("systemctl", "daemon-reload")
	if err := b.try(helper.HelperPath, "unlock", "--for", "1h"); err == nil || !b.isLocked() {
		t.Errorf("an unlock that nothing could end: %v", err)
	}
}

// By force, in the unit of its own: what that forbids is not needed, and without a request
// it does nothing.
func TestForceUnderSystemd(t *testing.T) {
	b := boot(t)
	writer := b.command("sh", "-c", "exec 3>/mnt/root/etc/busy; read x")
	hold, err := writer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		hold.Close()
		_ = writer.Wait()
	}()
	b.await("the writer", func() bool { return b.try("test", "-e", "/mnt/root/etc/busy") == nil })
	if err := b.try("systemctl", "start", "immutray-lock-force.service"); err == nil || b.isLocked() {
		t.Errorf("the unit alone: %v, locked: %t", err, b.isLocked())
	}
	_, line, _ := strings.Cut(b.output(helper.HelperPath, "lock-force"), "\n")
	var r helper.Result
	if err := json.Unmarshal([]byte(line), &r); err != nil || r.Outcome != helper.Done || len(r.Writers) != 1 || r.Status.State != helper.PartlyLocked {
		t.Errorf("lock-force: %v: %+v", err, r)
	}
	if !b.isLocked() {
		t.Error("something new can be written after the lock by force")
	}
}
