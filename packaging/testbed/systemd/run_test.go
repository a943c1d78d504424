package systemd

import (
	"strings"
	"testing"
	"time"

	"immutray.org/helper"
)

// If every process in the caller's cgroup is killed at once, the system is locked within a
// second nevertheless.
func TestACommandIsKilledWithItsCgroup(t *testing.T) {
	b := boot(t)
	b.ask("lock")
	for _, mode := range []string{"--reason=a test", "--system-wide"} {
		b.call(immutectl, "run", mode, "--",
			"sh", "-c", "touch /mnt/root/etc/file && touch /run/begun && exec sleep 60")
		b.await("the command", func() bool { return b.try("rm", "/run/begun") == nil })
		if locked := b.isLocked(); locked != (mode != "--system-wide") {
			t.Errorf("%s: for others it is locked: %v", mode, locked)
		}
		scopes := b.output("systemctl", "list-units", "--plain", "--no-legend", "immutray-run-*.scope")
		if !strings.Contains(scopes, " active ") {
			t.Errorf("%s: no scope of its own: %q", mode, scopes)
		}
		if err := b.try("pgrep", "-x", "immutray-guard"); err != nil {
			t.Errorf("%s: no guardian of that name: %v", mode, err)
		}
		killed := time.Now()
		b.output("sh", "-c", "echo 1 >/sys/fs/cgroup/system.slice/caller.service/cgroup.kill")
		b.await("the lock", func() bool {
			return b.isLocked() && !strings.Contains(b.output(immutectl, "status"), "ro=false")
		})
		// A few processes are needed to find out; the lock of a system-wide run is a unit's, too.
		t.Logf("%s: locked %v after everything was killed", mode, time.Since(killed))
		if took := time.Since(killed); mode != "--system-wide" && took > time.Second {
			t.Errorf("locked after %v, want a second at most", took)
		}
		b.await("the end of the scope", func() bool {
			return b.output("systemctl", "list-units", "--plain", "--no-legend", "immutray-run-*.scope") == ""
		})
	}
}

// If runner and guardian are killed together or stopped, or the runner is frozen with its
// cgroup, PID 1 starts the unit that ends the write access.
func TestRunnerAndGuardianAreDead(t *testing.T) {
	b := boot(t)
	b.ask("lock")
	b.output("sh", "-c", `printf '[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\nWants=dbus.service basic.target sysinit.target\n' >/run/units/other.target; systemctl daemon-reload`)
	const caller = "/sys/fs/cgroup/system.slice/caller.service"
	for _, test := range []struct{ name, attack, undo string }{
		{"killed", "pkill -KILL -x immutray-guard; echo 1 >" + caller + "/cgroup.kill", ""},
		{"stopped", "pkill -STOP -x immutray-guard; pkill -STOP -x immutectl; pkill -KILL -x sleep", "pkill -KILL -x immutectl"},
		{"killed and stopped", "pkill -STOP -x immutectl; pkill -KILL -x immutray-guard; pkill -KILL -x sleep", "pkill -KILL -x immutectl"},
		{"frozen", "echo 1 >" + caller + "/cgroup.freeze; pkill -KILL -x sleep", "echo 1 >" + caller + "/cgroup.kill"},
		{"guardian frozen", "for g in /sys/fs/cgroup/system.slice/immutray-run-*.scope; do echo 1 >$g/cgroup.freeze; done; pkill -STOP -x immutectl; pkill -KILL -x sleep", "pkill -KILL -x immutectl"},
	} {
		for _, mode := range []string{"--reason=a test", "--system-wide"} {
			if mode == "--system-wide" && test.name != "killed" {
				continue // only the end of the run is different
			}
			b.call(immutectl, "run", mode, "--",
				"sh", "-c", "touch /mnt/root/etc/file && touch /run/begun && exec sleep 60")
			b.await("the command", func() bool { return b.try("rm", "/run/begun") == nil })
			b.output("systemctl", "isolate", "other.target") // must not stop the timer of the run
			b.output("sh", "-c", test.attack)
			began := time.Now()
			b.await("the lock after "+test.name+" "+mode, func() bool {
				return b.isLocked() && !strings.Contains(b.output(immutectl, "status"), "ro=false")
			})
			t.Logf("%s, %s: locked after %v", test.name, mode, time.Since(began))
			if test.undo != "" {
				b.output("sh", "-c", test.undo)
			}
			b.await("the end of it all", func() bool {
				return b.output("systemctl", "list-units", "--plain", "--no-legend", "immutray-run-*.scope", "immutray-reclaim@*", "caller.service") == "" &&
					b.output("sh", "-c", "ls /run/immutray/runs /run/immutray/programs | grep -v : || true") == "\n"
			})
		}
	}
}

// Runs are in the history of a real journal, also one that a power cut has ended.
func TestHistoryOfCommandsUnderSystemd(t *testing.T) {
	kept := keptDir(t)
	r := bootRecorder(t, kept, 1)
	r.ask("lock")
	r.output(immutectl, "run", "--reason=new\x1bkernel", "--", "touch", "/mnt/root/a b")
	r.output(immutectl, "run", "--system-wide", "--", "touch", "/mnt/root/file")
	whole, alone := "root (immutectl run: touch) person", `root (new\x1bkernel: touch) run`
	r.expect(whole, alone)

	r.call(immutectl, "run", "--", "sleep", "60")
	atWork := "root (: sleep) "
	r.expect(atWork+"open", whole, alone)
	r.ask("unlock")
	r.output(helper.HelperPath, "lock-force")
	r.expect("root () person", atWork+"person", whole, alone)
	r.output("systemctl", "stop", "caller.service")

	r.call(immutectl, "run", "--", "sleep", "61")
	longer := "root (: sleep) "
	r.expect(longer+"open", "root () person", atWork+"person", whole, alone)
	r.end()

	r = bootRecorder(t, kept, 2)
	r.ask("seal")
	r.expect(longer+"crash sealed", "root () person", atWork+"person", whole, alone)
}

// A command line may hold a password, so no record that other users can read has it: neither
// the state directory nor the journal, which adds the command line of each sender.
func TestAPasswordStaysWithRoot(t *testing.T) {
	kept := keptDir(t)
	r := bootRecorder(t, kept, 1)
	r.ask("lock")
	const secret = "correct-horse"
	for _, mode := range []string{"--reason=why", "--system-wide"} {
		// Not on the command line of systemd-run, which the journal keeps as well.
		script := "#!/bin/sh\nexec " + immutectl + " run " + mode + " -- sh -c 'touch /run/begun; read x </run/fifo' sh --password=" + secret + "\n"
		r.output("sh", "-c", `printf '%s' "$1" >/run/script && chmod +x /run/script && rm -f /run/fifo && mkfifo /run/fifo`, "sh", script)
		r.call("/run/script")
		r.await("the command", func() bool { return r.try("rm", "/run/begun") == nil })
		if root := r.output(immutectl, "status"); !strings.Contains(root, secret) {
			t.Errorf("%s: root is told\n%s", mode, root)
		}
		everyone := r.output("setpriv", "--reuid=65534", "--clear-groups", immutectl, "status")
		if !strings.Contains(everyone, "sh (pid ") || strings.Contains(everyone, secret) {
			t.Errorf("%s: everyone is told\n%s", mode, everyone)
		}
		readable := r.output("setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", "grep -r --binary-files=text "+secret+" /run/immutray 2>/dev/null; true")
		if readable != "" {
			t.Errorf("%s: everyone can read\n%s", mode, readable)
		}
		r.output("timeout", "20", "sh", "-c", "echo >/run/fifo")
		r.await("the end", func() bool {
			return r.isLocked() && r.output(immutectl, "status", "--json") != "" && r.try("systemctl", "is-active", "caller.service") != nil
		})
	}
	var text string
	r.await("the journal", func() bool {
		text = r.output("timeout", "20", "journalctl", "--output=export", "--no-pager", "--directory=/var/log/journal")
		return strings.Contains(text, "IMMUTRAY_COMMAND=sh\n") && strings.Contains(text, "IMMUTRAY_REASON=immutectl run: sh\n")
	})
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, secret) {
			t.Errorf("in the journal is %q", line)
		}
	}
}

// "immutectl run" within the command of another run gets write access of its own, and begins
// with the mounts of the machine.
func TestACommandWithinACommand(t *testing.T) {
	b := boot(t)
	b.ask("lock")
	b.output(immutectl, "run", "--", immutectl, "run", "--", "touch", "/mnt/root/etc/file")
	if !b.isLocked() {
		t.Error("it is not locked for others afterwards")
	}
	out, err := b.command(immutectl, "run", "--", "sh", "-c", immutectl+" unlock").CombinedOutput()
	if err != nil || strings.Contains(string(out), "lready") || b.isLocked() {
		t.Errorf("unlock: %v: %s", err, out)
	}
	b.ask("lock")
}
