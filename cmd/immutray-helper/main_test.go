package main

import (
	"bytes"
	"encoding/json"
	"errors"
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
	"immutray.org/helper/client"
	"immutray.org/helper/cmdline"
	"immutray.org/packaging/testbed/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// A system is a test system with a helper and a configuration for it.
type system struct {
	*lab.System
	helper, config string
}

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{System: lab.New(t), helper: lab.Program(t, "immutray-helper")}
	dir := filepath.Join(s.Dir, "etc-immutray")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.config = filepath.Join(dir, "config.toml")
	s.configure(t, s.Protected())
	return s
}

// configure writes the configuration. Without islands nothing needs to be prepared.
func (s *system) configure(t *testing.T, paths []string) {
	t.Helper()
	var list []string
	for _, p := range paths {
		list = append(list, "'"+p+"'")
	}
	s.write(t, fmt.Sprintf("paths = [%s]\nislands = []\ndrain = \"0s\"\nunlock_default = \"until-locked\"\nstate_dir = '%s'\n", strings.Join(list, ", "), s.State))
}

func (s *system) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(s.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// boot has the kernel command line ask for the verb, if it is the boot's, until the test
// ends.
func (s *system) boot(t *testing.T, verb helper.Verb) {
	t.Helper()
	words := map[helper.Verb]string{helper.Seal: "ro", helper.Unseal: "rw"}[verb]
	file := filepath.Join(s.Dir, "cmdline")
	if err := os.WriteFile(file, []byte(words), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(file, cmdline.Path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(cmdline.Path, unix.MNT_DETACH) })
}

// An answer is what one run of the helper left behind.
type answer struct {
	code   int
	result *helper.Result
	stderr string
}

func (s *system) run(t *testing.T, args ...string) answer {
	t.Helper()
	return runCommand(t, exec.Command(s.helper, args...))
}

func runCommand(t *testing.T, cmd *exec.Cmd) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), parse(t, stdout.String()), stderr.String()}
}

func parse(t *testing.T, out string) *helper.Result {
	t.Helper()
	first, rest, _ := strings.Cut(out, "\n")
	var r helper.Result
	if err := json.Unmarshal([]byte(rest), &r); err != nil || first != helper.Handshake || strings.Count(rest, "\n") != 1 {
		t.Fatalf("the helper printed %.500q (%v), want a handshake and a result", out, err)
	}
	return &r
}

// unchanged fails the test unless everything is as the lab made it.
func (s *system) unchanged(t *testing.T) {
	t.Helper()
	for _, p := range append(s.Protected(), s.IslandPaths()...) {
		if err := s.Writable(p); err != nil {
			t.Errorf("something was changed: %v", err)
		}
	}
}

func (s *system) locked(t *testing.T) {
	t.Helper()
	for _, p := range s.Protected() {
		if err := s.Writable(p); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s is not locked: %v", p, err)
		}
	}
	for _, p := range s.IslandPaths() {
		if err := s.Writable(p); err != nil {
			t.Error(err)
		}
	}
}

func TestLockAndUnlock(t *testing.T) {
	s := newSystem(t)
	for _, step := range []struct {
		verb helper.Verb
		want helper.State
	}{{helper.Lock, helper.Locked}, {helper.Lock, helper.Locked}, {helper.Unlock, helper.Unlocked}, {helper.Unlock, helper.Unlocked}, {helper.Seal, helper.Locked}, {helper.Unseal, helper.Unlocked}} {
		s.boot(t, step.verb)
		got := s.run(t, string(step.verb), "--config", s.config)
		if got.code != helper.ExitDone || got.result.Outcome != helper.Done || got.stderr != "" {
			t.Fatalf("%s: %+v %+v", step.verb, got, got.result)
		}
		if got.result.Status.State != step.want || got.result.Request.User != "root" {
			t.Errorf("%s: state %s for %s, want %s for root", step.verb, got.result.Status.State, got.result.Request.User, step.want)
		}
		if step.want == helper.Locked {
			s.locked(t)
		} else {
			s.unchanged(t)
		}
	}
}

// The client and the helper understand each other.
func TestClient(t *testing.T) {
	s := newSystem(t)
	c := &client.Client{Direct: true, Helper: s.helper, Config: s.config}
	if r, err := c.Do(t.Context(), helper.Request{Verb: helper.Lock}); err != nil || r.Status.State != helper.Locked {
		t.Errorf("Do(lock) = %+v, %v", r, err)
	}
	s.locked(t)
	c.Config += ".missing"
	_, err := c.Do(t.Context(), helper.Request{Verb: helper.Unlock})
	var refused *helper.ResultError
	if !errors.As(err, &refused) || refused.Result.Outcome != helper.ConfigRefused || client.Hint(err) == "" {
		t.Errorf("Do(unlock) without a configuration = %v", err)
	}
}

// Two locks and an unlock at the same time: each tells what was true when it was done.
func TestAtTheSameTime(t *testing.T) {
	s := newSystem(t)
	var wg sync.WaitGroup
	for _, verb := range []helper.Verb{helper.Lock, helper.Unlock, helper.Lock} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			out, err := exec.Command(s.helper, string(verb), "--config", s.config).Output()
			_, rest, _ := strings.Cut(string(out), "\n")
			var r helper.Result
			if err := json.Unmarshal([]byte(rest), &r); err != nil {
				t.Errorf("%s: %v: %s", verb, err, out)
				return
			}
			want := map[helper.Verb]helper.State{helper.Lock: helper.Locked, helper.Unlock: helper.Unlocked}[verb]
			if err != nil || r.Outcome != helper.Done || r.Status.State != want {
				t.Errorf("%s: %v, %+v", verb, err, r)
			}
		}()
	}
	wg.Wait()
}

func TestConfiguration(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, s *system) error
		want string
	}{
		{"writable by others", func(t *testing.T, s *system) error {
			return os.Chmod(s.config, 0o666)
		}, "is writable by others than root"},
		{"owned by a user", func(t *testing.T, s *system) error {
			return os.Chown(s.config, 65534, 65534)
		}, "belongs to user 65534, it must belong to root"},
		{"a symlink", func(t *testing.T, s *system) error {
			return errors.Join(os.Rename(s.config, s.config+".real"), os.Symlink(s.config+".real", s.config))
		}, "is a symbolic link"},
		{"a parent directory writable by others", func(t *testing.T, s *system) error {
			return os.Chmod(filepath.Dir(s.config), 0o777)
		}, "is writable by others than root"},
		{"unknown key", func(t *testing.T, s *system) error {
			s.write(t, "drian = \"5s\"\n")
			return nil
		}, "line 1: unknown key drian; did you mean drain?"},
		{"path that is no mount point", func(t *testing.T, s *system) error {
			dir := filepath.Join(s.Root, "srv")
			s.configure(t, []string{s.Root, dir})
			return os.Mkdir(dir, 0o755)
		}, "is not a mount point"},
		{"path that does not exist", func(t *testing.T, s *system) error {
			s.configure(t, []string{s.Root, filepath.Join(s.Root, "nowhere")})
			return nil
		}, "no such file or directory"},
		{"path that is a symlink", func(t *testing.T, s *system) error {
			link := filepath.Join(s.Dir, "link")
			s.configure(t, []string{link})
			return os.Symlink(s.Root, link)
		}, "symbolic link"},
		{"relative path", func(t *testing.T, s *system) error {
			s.configure(t, []string{"etc"})
			return nil
		}, `line 1: paths: "etc" is not an absolute path`},
		{"path with ..", func(t *testing.T, s *system) error {
			s.configure(t, []string{s.Root + "/../root"})
			return nil
		}, "contains ..; write the path without it"},
		{"2 MiB of garbage", func(t *testing.T, s *system) error {
			s.write(t, strings.Repeat("\xffgarbage", 2<<20/8))
			return nil
		}, "it is larger than 64 KiB"},
		{"a FIFO", func(t *testing.T, s *system) error {
			return errors.Join(os.Remove(s.config), unix.Mkfifo(s.config, 0o600))
		}, "is not a regular file"},
		{"missing, though named", func(t *testing.T, s *system) error {
			return os.Remove(s.config)
		}, "no such file or directory"},
	}
	s := newSystem(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Dir(s.config)
			for _, err := range []error{os.RemoveAll(dir), os.Mkdir(dir, 0o755)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			s.configure(t, s.Protected())
			if err := test.make(t, s); err != nil {
				t.Fatal(err)
			}
			for _, verb := range helper.Verbs() {
				s.boot(t, verb)
				got := s.run(t, string(verb), "--config", s.config)
				if unfit := strings.HasPrefix(test.name, "path that "); unfit && verb == helper.Unseal {
					// No boot fails because of what is not locked in any case.
					if got.code != helper.ExitDone || !slices.Contains(got.result.Notices, "not unlocked: nothing is locked") {
						t.Errorf("%s: exit %d, %+v", verb, got.code, got.result)
					}
					continue
				}
				if got.code != helper.ExitConfigRefused || got.result.Outcome != helper.ConfigRefused || !strings.Contains(got.result.Error, test.want) {
					t.Errorf("%s: exit %d, %s, %q, want exit 6 and %q", verb, got.code, got.result.Outcome, got.result.Error, test.want)
				}
				if want := "immutray-helper: error: " + got.result.Error + "\n"; got.stderr != want {
					t.Errorf("%s: standard error %q, want %q", verb, got.stderr, want)
				}
			}
			s.unchanged(t)
		})
	}
}

func TestArguments(t *testing.T) {
	s := newSystem(t)
	many := make([]string, 10000)
	for i := range many {
		many[i] = "lock"
	}
	for name, args := range map[string][]string{
		"no verb":            {},
		"unknown verb":       {"explode"},
		"empty verb":         {""},
		"extra argument":     {"lock", "--config", s.config, "/"},
		"unknown option":     {"unlock", "--config", s.config, "--force"},
		"10,000 arguments":   append([]string{"lock", "--config", s.config}, many...),
		"a long argument":    {strings.Repeat("x", 100000)},
		"control characters": {"\x1b]0;x\x07\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.run(t, args...)
			if got.code != helper.ExitUsage || got.result.Outcome != helper.Usage || !strings.Contains(got.stderr, "\nusage: immutray-helper ") {
				t.Errorf("exit %d, %+v, %q, want exit 2 and the usage", got.code, got.result, got.stderr)
			}
			if len(got.stderr) > 2000 || strings.Contains(got.stderr, "\x1b") {
				t.Errorf("standard error repeats what it was given: %.300q", got.stderr)
			}
			s.unchanged(t)
		})
	}
}

// An empty argument list, not even a name in it: the root of CVE-2021-4034.
func TestEmptyArgumentList(t *testing.T) {
	s := newSystem(t)
	out, err := os.Create(filepath.Join(s.Dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	pid, err := syscall.ForkExec(s.helper, nil, &syscall.ProcAttr{Env: []string{"lock"}, Files: []uintptr{out.Fd(), out.Fd(), out.Fd()}})
	if err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || status.ExitStatus() != helper.ExitUsage {
		t.Errorf("exit %v, %v, want 2", status, err)
	}
	s.unchanged(t)
}

func TestPkexecsCaller(t *testing.T) {
	s := newSystem(t)
	tests := []struct {
		name, uid string
		args      []string
		code      int
	}{
		{"configuration", "1000", []string{"lock", "--config", s.config}, helper.ExitUsage},
		{"work", "1000", []string{"lock", "--work"}, helper.ExitUsage},
		{"seal", "1000", []string{"seal"}, helper.ExitUsage},
		{"unseal", "1000", []string{"unseal"}, helper.ExitUsage},
		{"nobody at all", "4294967295", []string{"lock", "--config", s.config}, helper.ExitFailed},
		{"garbage", "x", []string{"lock", "--config", s.config}, helper.ExitFailed},
	}
	for _, test := range tests {
		cmd := exec.Command(s.helper, test.args...)
		cmd.Env = []string{"PKEXEC_UID=" + test.uid}
		if got := runCommand(t, cmd); got.code != test.code {
			t.Errorf("%s: exit %d, %q, want %d", test.name, got.code, got.result.Error, test.code)
		}
	}
	s.unchanged(t)
}

func TestOnlyRoot(t *testing.T) {
	s := newSystem(t)
	cmd := exec.Command(s.helper, "lock", "--config", s.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	if got := runCommand(t, cmd); got.code != helper.ExitFailed || got.result.Error != "must run as root" {
		t.Errorf("%+v", got)
	}
	s.unchanged(t)
}
