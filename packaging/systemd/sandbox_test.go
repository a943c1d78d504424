package systemd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/cmdline"
	"immutray.org/packaging/testbed/lab"
)

// A sandbox runs the helper with the restrictions of a unit that work without systemd.
type sandbox struct {
	*lab.System
	helper, config string
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	s := &sandbox{System: lab.New(t), helper: lab.Program(t, "immutray-helper")}
	s.config = filepath.Join(s.Dir, "config.toml")
	text := fmt.Sprintf("paths = ['%s', '%s']\nislands = []\ndrain = \"0s\"\nunlock_default = \"until-locked\"\nstate_dir = '%s'\n", s.Root, s.Etc, s.State)
	if err := os.WriteFile(s.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs the helper as the unit of the verb does, with the unit's capabilities. If there
// are words of another command, they come first.
func (s *sandbox) run(t *testing.T, verb helper.Verb, behind ...string) helper.Result {
	t.Helper()
	lab.Require(t, "setpriv:util-linux")
	bounding := "-all"
	for _, list := range values(read(t, unitOf(verb)), "CapabilityBoundingSet") {
		for _, c := range strings.Fields(list) {
			bounding += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
		}
	}
	args := append(slices.Clone(behind), "setpriv", "--no-new-privs", "--bounding-set", bounding, s.helper, string(verb), "--config", s.config)
	if !verb.AtBoot() {
		args = append(args, "--work")
	}
	cmd := exec.Command(args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(out), "\n")
	var r helper.Result
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("%v: %s%s", err, out, stderr.String())
	}
	return r
}

// commandLine replaces the kernel command line until the test ends.
func (s *sandbox) commandLine(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(s.Dir, "cmdline")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(file, cmdline.Path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(cmdline.Path, unix.MNT_DETACH) })
}

// ask puts a request into the queue. Without one the helper does not unlock.
func (s *sandbox) ask(t *testing.T, verb helper.Verb) {
	t.Helper()
	dir := filepath.Join(s.State, "requests")
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	data, err := json.Marshal(helper.Request{Verb: verb, ID: "1", User: "root"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, string(verb)+".1"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCapabilitiesSuffice(t *testing.T) {
	s := newSandbox(t)
	// A subvolume whose root directory belongs to a user needs more capabilities.
	if err := os.Chown(s.Etc, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	writer := exec.Command("setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", "exec 3> "+filepath.Join(s.Etc, "busy")+"; echo; read x")
	stdin, err := writer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	r := s.run(t, helper.Lock)
	if r.Outcome != helper.Blocked || len(r.Writers) != 1 || r.Writers[0].PID != writer.Process.Pid {
		t.Errorf("with a writer: %+v, want it named", r)
	}
	stdin.Close()
	writer.Wait()
	if r := s.run(t, helper.Lock); r.Outcome != helper.Done || r.Status.State != helper.Locked {
		t.Errorf("lock: %+v", r)
	}
	s.ask(t, helper.Unlock)
	if r := s.run(t, helper.Unlock); r.Outcome != helper.Done || r.Status.State != helper.Unlocked {
		t.Errorf("unlock: %+v", r)
	}
	s.commandLine(t, "ro")
	if r := s.run(t, helper.Seal); r.Outcome != helper.Done || r.Status.State != helper.Locked {
		t.Errorf("seal: %+v", r)
	}
	s.commandLine(t, "rw")
	if r := s.run(t, helper.Unseal); r.Outcome != helper.Done || r.Status.State != helper.Unlocked {
		t.Errorf("unseal: %+v", r)
	}
}

// dispensable calls are younger than some versions of systemd, which can't allow what they
// don't know. If they are refused, the helper does without them: 252 refuses statmount(2) and
// listmount(2), 257 has them in @file-system. An old strace(1) prints their numbers.
var dispensable = map[string]bool{
	"statmount": true, fmt.Sprintf("syscall_%#x", unix.SYS_STATMOUNT): true,
	"listmount": true, fmt.Sprintf("syscall_%#x", unix.SYS_LISTMOUNT): true,
}

// Every system call that a verb needs is one that its unit lets pass.
func TestSystemCallsAreAllowed(t *testing.T) {
	lab.Require(t, "strace:strace", "systemd-analyze:systemd")
	s := newSandbox(t)
	busy, err := os.Create(filepath.Join(s.Root, "busy"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		verb helper.Verb
		want helper.Outcome
	}{{helper.Lock, helper.Blocked}, {helper.LockForce, helper.Done}, {helper.Unlock, helper.Done}, {helper.Lock, helper.Done}, {helper.Unlock, helper.Done}, {helper.Seal, helper.Done}, {helper.Unseal, helper.Done}} {
		s.commandLine(t, map[helper.Verb]string{helper.Unseal: "rw"}[step.verb])
		allowed := allowedCalls(t, unitOf(step.verb))
		trace := filepath.Join(s.Dir, "trace")
		if !step.verb.AtBoot() {
			s.ask(t, step.verb)
		}
		if r := s.run(t, step.verb, "strace", "-f", "-qq", "-o", trace); r.Outcome != step.want {
			t.Fatalf("%s: %+v, want %s", step.verb, r, step.want)
		}
		if step.verb == helper.LockForce {
			busy.Close()
		}
		for _, call := range tracedCalls(t, trace, s.helper) {
			if !allowed[call] && !dispensable[call] {
				t.Errorf("%s: the unit forbids %s", step.verb, call)
			}
		}
	}
}

// A lock looks at each process and each mount namespace once for all protected paths, except
// that it looks a second time for new namespaces. On an emulated machine that is most of the
// cost of a lock.
func TestALockLooksOnce(t *testing.T) {
	lab.Require(t, "strace:strace", "unshare:util-linux")
	s := newSandbox(t)
	service := exec.Command("unshare", "--mount", "sleep", "infinity")
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = service.Process.Kill()
		_ = service.Wait()
	})
	pid := service.Process.Pid
	other := fmt.Sprintf("/proc/%d/ns/mnt", pid)
	for own, err := os.Readlink("/proc/self/ns/mnt"); ; {
		if link, _ := os.Readlink(other); err != nil || link != "" && link != own {
			break
		}
	}
	trace := filepath.Join(s.Dir, "trace")
	if r := s.run(t, helper.Lock, "strace", "-f", "-qq", "-o", trace); r.Outcome != helper.Done {
		t.Fatalf("lock: %+v", r)
	}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for what, most := range map[string]int{
		fmt.Sprintf(`readlinkat\(AT_FDCWD, "%s"`, other):                   2,
		fmt.Sprintf(`openat\(\d+, "%d", O_RDONLY\|O_CLOEXEC\|O_PATH`, pid): 1,
	} {
		if got := len(regexp.MustCompile(what).FindAll(data, -1)); got > most {
			t.Errorf("the lock does %s %d times, want at most %d", what, got, most)
		}
	}
}

// allowedCalls returns the system calls that SystemCallFilter= of a unit allows.
func allowedCalls(t *testing.T, unit string) map[string]bool {
	t.Helper()
	allowed := map[string]bool{}
	// systemd adds these to every list of allowed calls (systemd.exec(5)).
	for _, call := range expand(t, "@default") {
		allowed[call] = true
	}
	for _, list := range values(read(t, unit), "SystemCallFilter") {
		rest, forbid := strings.CutPrefix(list, "~")
		for _, name := range strings.Fields(rest) {
			for _, call := range expand(t, name) {
				allowed[call] = !forbid
			}
		}
	}
	return allowed
}

// expand returns the calls of a group, or the call itself.
func expand(t *testing.T, name string) []string {
	t.Helper()
	if !strings.HasPrefix(name, "@") {
		return []string{name}
	}
	out, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager", name).Output()
	if err != nil {
		t.Fatalf("systemd-analyze syscall-filter %s: %v", name, err)
	}
	var calls []string
	for _, line := range strings.Split(string(out), "\n")[1:] {
		if member := strings.TrimSpace(line); member != "" && member[0] != '#' {
			calls = append(calls, expand(t, member)...)
		}
	}
	return calls
}

// tracedCalls returns the calls in a trace after the start of the program.
func tracedCalls(t *testing.T, trace, program string) []string {
	t.Helper()
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	_, own, ok := strings.Cut(string(data), `execve("`+program)
	if !ok {
		t.Fatal("the trace does not begin")
	}
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +(?:<\.\.\. )?(\w+)[( ]`).FindAllStringSubmatch(own, -1) {
		found[m[1]] = true
	}
	var calls []string
	for call := range found {
		calls = append(calls, call)
	}
	slices.Sort(calls)
	if !slices.Contains(calls, "mount_setattr") {
		t.Fatalf("the trace has no mount_setattr: %q", calls)
	}
	return calls
}
