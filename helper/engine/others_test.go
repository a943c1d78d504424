package engine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/namespaces"
	"immutray.org/helper/protected"
	"immutray.org/helper/statefile"
)

// A resident is a shell in a mount namespace of its own, below the test system.
type resident struct{ *actor }

// settle starts a resident, who runs a script first.
func (f *fixture) settle(script string, flags uintptr) resident {
	f.t.Helper()
	command := exec.Command("sh", "-c", script+"\necho ready; while read -r line; do eval \"$line\" 2>/dev/null; echo $?; done")
	command.Dir = f.Dir
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | flags}
	if flags&unix.CLONE_NEWUSER != 0 {
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{Size: 1}}
	}
	return resident{startActor(f.t, command)}
}

func (r resident) can(command string) bool {
	r.t.Helper()
	if _, err := fmt.Fprintln(r.stdin, command); err != nil {
		r.t.Fatal(err)
	}
	return r.answer() == "0"
}

// writable returns those of the paths, relative to the test system, where a file can be made.
func (r resident) writable(paths ...string) []string {
	r.t.Helper()
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		return !r.can("touch " + p + "/.probe")
	})
}

// table returns the mounts of the file system with their flags, as a process sees them.
func (f *fixture) table(pid int) []string {
	f.t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	var table []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.Contains(lines.Text(), f.Device) {
			table = append(table, lines.Text())
		}
	}
	return table
}

// Programs with mounts of their own find them locked and unlocked like all others.
func TestTheLockHoldsInEveryNamespace(t *testing.T) {
	f := newFixture(t)
	if err := os.MkdirAll(filepath.Join(f.Root, "usr"), 0o755); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(f.Dir, "elsewhere")
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(f.Root, elsewhere, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(elsewhere, unix.MNT_DETACH) })
	const prepare = "mount --bind root/usr root/usr; mount --bind root/etc elsewhere/etc; mount -o remount,bind,ro root/usr"
	all := []string{"root", "root/etc", "root/usr", "elsewhere", "elsewhere/etc", "root/var/lib", "top"}
	residents := map[string]resident{
		"a service":   f.settle(prepare, 0),
		"a user":      f.settle(prepare, unix.CLONE_NEWUSER),
		"the machine": {startActor(t, shellAt(f.Dir))},
	}
	before := map[string][]string{}
	for name, r := range residents {
		before[name] = r.writable(all...)
	}
	for range 2 {
		f.must(helper.Lock)
		for name, r := range residents {
			if got := r.writable(all...); !slices.Equal(got, []string{"root/var/lib"}) && !slices.Equal(got, []string{"root/var/lib", "top"}) {
				t.Errorf("locked, %s can write to %q", name, got)
			}
		}
		// The property alone would not have kept writers out for long.
		f.clearProperties()
		for name, r := range residents {
			if got := r.writable(all[:5]...); len(got) > 0 {
				t.Errorf("by the mount flag, %s can write to %q", name, got)
			}
		}
		f.must(helper.Lock)
		result := f.must(helper.Unlock)
		for name, r := range residents {
			if got := r.writable(all...); !slices.Equal(got, before[name]) {
				t.Errorf("unlocked, %s can write to %q, want %q", name, got, before[name])
			}
		}
		if left := result.Status.StillReadOnly; len(left) > 0 {
			t.Errorf("named as read-only still: %+v", left)
		}
	}
}

func shellAt(dir string) *exec.Cmd {
	command := exec.Command("sh", "-c", "echo ready; while read -r line; do eval \"$line\" 2>/dev/null; echo $?; done")
	command.Dir = dir
	return command
}

// clearProperties does what "btrfs property set PATH ro false" does, without a writable
// mount.
func (f *fixture) clearProperties() {
	f.t.Helper()
	t := openTargets(config.Config{Paths: f.Protected()}, statefile.State{})
	defer t.close()
	if err := t.err(); err != nil {
		f.t.Fatal(err)
	}
	for _, p := range t.paths {
		if err := p.SetProperty(false); err != nil {
			f.t.Fatal(err)
		}
	}
}

// Someone who writes in another namespace blocks the lock, which leaves every namespace as
// it was.
func TestAWriterInAnotherNamespaceBlocks(t *testing.T) {
	for name, flags := range map[string]uintptr{"a service": 0, "a user": unix.CLONE_NEWUSER} {
		f := newFixture(t)
		busy := f.settle("mkdir -p root/etc/own; mount --bind root/etc/own root/etc/own; exec 3>root/etc/own/busy", flags)
		idle := f.settle("mount -o remount,bind,ro root", 0)
		pids := []int{os.Getpid(), busy.pid(), idle.pid()}
		var before [][]string
		for _, pid := range pids {
			before = append(before, f.table(pid))
		}
		result := f.run(helper.Lock)
		if result.Outcome != helper.Blocked || len(result.Writers) != 1 || result.Writers[0].PID != busy.pid() {
			t.Errorf("%s: %s: %+v, want it named", name, result.Outcome, result.Writers)
		}
		for i, pid := range pids {
			// Of the first path nothing speaks against locking it.
			got := slices.DeleteFunc(f.table(pid), func(line string) bool { return !strings.Contains(line, "/etc") })
			want := slices.DeleteFunc(before[i], func(line string) bool { return !strings.Contains(line, "/etc") })
			if !slices.Equal(got, want) {
				t.Errorf("%s: the mounts of %d are\n%s\nwant\n%s", name, pid, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		busy.can("exec 3>&-")
		f.must(helper.Lock)
	}
}

// What was started while it was locked, and is no service, could have any reason to be
// read-only. It is named as long as it lives.
func TestWhoIsLeftBehindIsNamed(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Lock)
	r := f.settle("", 0)
	user := f.settle("", unix.CLONE_NEWUSER)
	result := f.must(helper.Unlock)
	want := []helper.Bystander{{Program: "sh", PID: r.pid()}}
	if got := result.Status.StillReadOnly; !slices.Equal(got, want) {
		t.Errorf("named are %+v, want %+v", got, want)
	}
	if got := f.status().StillReadOnly; !slices.Equal(got, want) {
		t.Errorf("the status names %+v, want %+v", got, want)
	}
	r.stop()
	user.stop()
	if got := f.status().StillReadOnly; len(got) > 0 {
		t.Errorf("the status names %+v, which has ended", got)
	}
	if result := f.must(helper.Unlock); len(result.Status.StillReadOnly) > 0 {
		t.Errorf("another unlock names %+v", result.Status.StillReadOnly)
	}
}

// A program that has the file system writable from a time when it was is shut out of what
// is granted to a command.
func TestNobodyElseWritesWhileACommandRuns(t *testing.T) {
	f := newFixture(t)
	f.CloseTop() // so that there is no copy of it
	r := f.settle("", 0)
	f.setProperties() // as by the classic layout's script
	f.setMountFlags()
	if got := r.writable("root", "root/etc"); len(got) > 0 {
		t.Fatalf("with the property set %q are writable", got)
	}
	grant, result := f.engine.Grant(context.Background(), helper.Run{ID: "1", Command: []string{"true"}, PID: os.Getpid()})
	if grant == nil {
		t.Fatalf("no grant: %+v", result)
	}
	if got := r.writable("root", "root/etc"); len(got) > 0 {
		t.Errorf("while a command runs others can write to %q", got)
	}
	if result := grant.End(context.Background(), nil); result.Outcome != helper.Done {
		t.Errorf("return: %+v", result)
	}
	f.must(helper.Unlock)
	if got := r.writable("root", "root/etc"); len(got) != 2 {
		t.Errorf("unlocked, it can write to %q alone", got)
	}
}

// It is refused where someone can't be shut out.
func TestNoCommandRunsBesideAWriter(t *testing.T) {
	for name, script := range map[string]string{
		"writing":      "exec 3>root/etc/busy",
		"out of reach": "mkdir -p a/b && mount --bind root/etc a/b && mount -t tmpfs none a",
	} {
		f := newFixture(t)
		f.CloseTop()
		r := f.settle(script, 0)
		f.setProperties()
		f.setMountFlags()
		grant, result := f.engine.Grant(context.Background(), helper.Run{ID: "1", Command: []string{"true"}, PID: os.Getpid()})
		if grant != nil {
			t.Errorf("%s: there is a grant", name)
			grant.End(context.Background(), nil)
		}
		if name == "out of reach" && !strings.Contains(result.Error, fmt.Sprintf("pid %d", r.pid())) {
			t.Errorf("%s: %s, want it named", name, result.Error)
		}
		f.expect(name, helper.Locked)
	}
}

// What was busy in another namespace does not count as closed because the time for looking is
// over before it is asked again.
func TestWhatWasBusyIsNotForgotten(t *testing.T) {
	f := newFixture(t)
	service := f.settle("exec 3>root/held", 0)
	p, err := protected.Open(f.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	o, err := lookForOthers(p)
	if err != nil {
		t.Fatal(err)
	}
	defer o.end()
	set, err := namespaces.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	its := slices.DeleteFunc(slices.Clone(set.Namespaces), func(n *namespaces.Namespace) bool {
		return !slices.Contains(n.Tasks, service.pid())
	})
	if len(its) != 1 {
		t.Fatalf("the service is in %d namespaces", len(its))
	}
	// Asked before and after the first round; over in the second.
	look := &shortLived{Context: t.Context(), left: 2}
	if busy := o.closeIn(t.Context(), look, its); !slices.Contains(busy, p) {
		t.Errorf("busy are %v, want %q", busy, p.Name)
	}
}

// A shortLived context is over after it was asked so often.
type shortLived struct {
	context.Context
	mu   sync.Mutex
	left int
}

func (s *shortLived) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}
