package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/packaging/testbed/lab"
)

// steps are the system calls that change something, or that what is changed depends
// on. strace can fail each of them, or kill the helper in it.
var steps = []string{"mount_setattr", "open_tree", "ioctl", "syncfs", "renameat", "fspick", "fsconfig"}

// A faultFixture runs the real helper program under strace.
type faultFixture struct {
	*fixture
	program, config, log string
	only                 string // fail only calls for this path; "" is any
}

func newFaultFixture(t *testing.T) *faultFixture {
	t.Helper()
	lab.Require(t, "strace:strace")
	f := &faultFixture{fixture: newFixture(t), program: lab.Program(t, "immutray-helper")}
	f.config = filepath.Join(f.Dir, "config.toml")
	f.log = filepath.Join(f.Dir, "strace.log")
	list := func(paths []string) string { return `["` + strings.Join(paths, `", "`) + `"]` }
	writeFile(t, f.config, fmt.Sprintf("paths = %s\nislands = %s\nstate_dir = %q\ndrain = \"100ms\"\nunlock_default = \"until-locked\"\n",
		list(f.Protected()), list(f.IslandPaths()), f.State))
	return f
}

// helper runs the helper with a fault and returns its result, nil when it left none.
func (f *faultFixture) helper(verb helper.Verb, fault string) (result *helper.Result, exitCode int, killed bool) {
	f.t.Helper()
	args := []string{"-f", "-qq", "-o", f.log, "-e", "trace=" + strings.Join(steps, ",")}
	if fault != "" {
		call, _, _ := strings.Cut(fault, ":")
		// strace spoils only calls that it traces.
		args = append(args, "-e", "trace="+strings.Join(append([]string{call}, steps...), ","), "-e", "inject="+fault)
	}
	if f.only != "" {
		args = append(args, "-P", f.only)
	}
	if !strings.Contains(fault, "signal") {
		// Without stopping at every other call it is through in half the time; but a
		// signal would come when the call is over (strace 6.1).
		args = append(args, "--seccomp-bpf")
	}
	command := exec.Command("strace", append(args, f.program, string(verb), "--config", f.config)...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.t.Fatal(err)
	}
	// strace ends as its child did.
	if status := command.ProcessState.Sys().(interface{ Signaled() bool }); status.Signaled() {
		return nil, -1, true
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if lines[0] != helper.Handshake {
		f.t.Fatalf("%s with %s: no handshake: %q, %s", verb, fault, out, stderr.String())
	}
	result = new(helper.Result)
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), result); err != nil {
		f.t.Fatalf("%s with %s: no result: %q, %s", verb, fault, out, stderr.String())
	}
	return result, command.ProcessState.ExitCode(), false
}

// reached reports whether the last run came to the call the fault was for.
func (f *faultFixture) reached() bool {
	log, err := os.ReadFile(f.log)
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.Contains(string(log), "(INJECTED)")
}

// calls counts how often the helper comes to each of the steps when none of them fails.
func (f *faultFixture) calls(verb helper.Verb, from string) map[string]int {
	f.t.Helper()
	f.prepare(from)
	if result, _, _ := f.helper(verb, ""); result.Outcome != helper.Done {
		f.t.Fatalf("%s of what is %s: %s: %s", verb, from, result.Outcome, result.Error)
	}
	log, err := os.ReadFile(f.log)
	if err != nil {
		f.t.Fatal(err)
	}
	calls := map[string]int{}
	for _, line := range regexp.MustCompile(`(?m)^\d+ +(\w+)\(`).FindAllStringSubmatch(string(log), -1) {
		calls[line[1]]++
	}
	return calls
}

// prepare brings the system into the state a verb starts from.
func (f *faultFixture) prepare(from string) {
	f.t.Helper()
	f.must(helper.Unlock)
	f.arrange(from)
}

// starts are the states from which a request has the most steps to make.
var starts = map[helper.Verb][]string{
	helper.Lock:   {"unlocked", "read_only_superblock"},
	helper.Unlock: {"locked", "classic_lock_on_an_idle_system"},
}

var goals = map[helper.Verb]helper.State{helper.Lock: helper.Locked, helper.Unlock: helper.Unlocked}

// Killed in any of its steps, the helper leaves nothing outside the protected paths
// read-only that was not so before, the status is true, and either verb then completes.
func TestKilledInEveryStep(t *testing.T) {
	for verb, from := range starts {
		for _, start := range from {
			t.Run(fmt.Sprintf("%s/%s", verb, start), func(t *testing.T) {
				t.Parallel()
				f := newFaultFixture(t)
				calls, kills := f.calls(verb, start), map[string]int{}
				for _, step := range steps {
					for n := 1; n <= calls[step]; n++ {
						f.prepare(start)
						// strace counts the calls of each thread by itself: n may be too many.
						if _, _, killed := f.helper(verb, fmt.Sprintf("%s:signal=SIGKILL:when=%d", step, n)); !killed {
							continue
						}
						kills[step]++
						when := fmt.Sprintf("killed in %s %d", step, n)
						if start == "unlocked" || start == "locked" {
							f.expectOthersWritable(when)
						}
						f.expectTruth(when)
						next := []helper.Verb{helper.Lock, helper.Unlock}[n%2]
						f.must(next)
						f.expect(when+", then "+string(next), goals[next])
						f.expectOthersWritable(when + ", then " + string(next))
					}
				}
				t.Logf("killed: %v", kills)
				for _, step := range []string{"mount_setattr", "open_tree", "ioctl", "renameat"} {
					if kills[step] == 0 {
						t.Errorf("never killed in %s: the test does not do its work", step)
					}
				}
			})
		}
	}
}

// expectTruth checks that the status is what the kernel does.
func (f *faultFixture) expectTruth(when string) {
	f.t.Helper()
	f.expect(when, f.status().State)
}

// Whatever call fails, and however: a clear error, exit code 1 or 3, and a result with the
// real state. A failure without consequences may be ignored.
func TestEveryStepFailing(t *testing.T) {
	for verb, from := range starts {
		for _, start := range from {
			t.Run(fmt.Sprintf("%s/%s", verb, start), func(t *testing.T) {
				t.Parallel()
				f := newFaultFixture(t)
				calls, outcomes := f.calls(verb, start), map[string]int{}
				for _, step := range steps {
					for _, errno := range []string{"EBUSY", "EPERM", "EROFS", "ENOMEM"} {
						for n := 1; n <= calls[step]; n++ {
							f.prepare(start)
							fault := fmt.Sprintf("%s:error=%s:when=%d", step, errno, n)
							result, exitCode, _ := f.helper(verb, fault)
							if !f.reached() {
								continue
							}
							outcomes[fmt.Sprintf("%s %s", step, result.Outcome)]++
							if verb == helper.Unlock && result.Outcome != helper.Done {
								f.expectRolledBack(fault)
							}
							f.checkFailure(fault, verb, result, exitCode)
						}
					}
				}
				t.Logf("outcomes: %v", outcomes)
				for _, want := range []string{"mount_setattr failed", "open_tree failed", "ioctl failed", "renameat failed"} {
					if outcomes[want] == 0 {
						t.Errorf("never seen: %s", want)
					}
				}
			})
		}
	}
}

// An unlock that fails leaves nothing writable, however late that is: from some moment on,
// the mount table that it reads the flags back from can't be read. On a new kernel it does
// not need that table (statmount(2)).
func TestAnUnlockThatFailsLateIsRolledBack(t *testing.T) {
	if !lab.IsOldKernel() {
		lab.OnOldKernel(t, "^"+t.Name()+"$")
		return
	}
	f := newFaultFixture(t)
	f.only = "/proc/thread-self/mountinfo"
	failed := 0
	for n := 1; n <= 40; n++ {
		f.prepare("locked")
		fault := fmt.Sprintf("openat:error=EMFILE:when=%d+", n)
		result, _, _ := f.helper(helper.Unlock, fault)
		if !f.reached() {
			break
		}
		if result.Outcome != helper.Done {
			failed++
			f.expectRolledBack(fault)
		}
		f.must(helper.Unlock)
		f.expect(fault+", then again", helper.Unlocked)
	}
	t.Logf("failed: %d", failed)
	if failed < 4 {
		t.Errorf("the unlock failed %d times: the test does not do its work", failed)
	}
}

// expectRolledBack checks that nothing can be written after an unlock that failed, as the
// kernel acts.
func (f *faultFixture) expectRolledBack(fault string) {
	f.t.Helper()
	for _, p := range f.status().Paths {
		err := f.Writable(p.Path)
		if p.Property != helper.ReadOnly || p.Mount != helper.ReadOnly && p.Superblock != helper.ReadOnly || !errors.Is(err, unix.EROFS) {
			f.t.Errorf("%s: %s is %s after the unlock failed, and creating a file there gives %v", fault, p.Path, p.State, err)
		}
	}
}

// The kernel may say busy for as long as the lock waits, and no writer be found.
func TestBusyWithoutAWriterToBeFound(t *testing.T) {
	f := newFaultFixture(t)
	result, exitCode, _ := f.helper(helper.Lock, "mount_setattr:error=EBUSY")
	if exitCode != helper.ExitBlocked || !strings.Contains(result.Error, "no program could be found") {
		t.Errorf("lock = exit code %d, %s: %s", exitCode, result.Outcome, result.Error)
	}
	f.expect("after the refused lock", helper.Unlocked)
	f.expectOthersWritable("after the refused lock")
}

// What the engine decides is what the program ends with.
func TestExitCodesOfTheHelper(t *testing.T) {
	f := newFaultFixture(t)
	expect := func(when string, want int, names string) {
		t.Helper()
		result, exitCode, _ := f.helper(helper.Lock, "")
		if exitCode != want || !strings.Contains(result.Error, names) {
			t.Errorf("lock %s = exit code %d: %s; want %d and %q named", when, exitCode, result.Error, want, names)
		}
		f.expect(when, helper.Unlocked)
	}
	writeFile(t, "/var/lib/dpkg/lock-frontend", "")
	dpkg := f.start("holds a dpkg lock", "/var/lib/dpkg/lock-frontend")
	expect("while dpkg is at work", helper.ExitPackageManager, fmt.Sprintf("(pid %d)", dpkg.pid()))
	dpkg.stop()

	writer := f.start("writes", filepath.Join(f.Root, "file"))
	result, exitCode, _ := f.helper(helper.Lock, "")
	if exitCode != helper.ExitBlocked || !strings.Contains(result.Error, fmt.Sprintf("pid %d", writer.pid())) {
		t.Errorf("lock with a writer = exit code %d: %s", exitCode, result.Error)
	}
	writer.stop()
	f.must(helper.Unlock)

	island := filepath.Join(f.Root, "srv")
	if err := os.Mkdir(island, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, f.config, strings.Replace(string(text), "islands = [", fmt.Sprintf("islands = [%q, ", island), 1))
	expect("with an island", helper.ExitNotPrepared, island)

	f.must(helper.Lock)
	if _, exitCode, _ := f.helper(helper.Unlock, ""); exitCode != helper.ExitDone {
		t.Errorf("unlock = exit code %d", exitCode)
	}
	f.expect("after unlock", helper.Unlocked)
}

// systemd's RestrictSUIDSGID= makes openat2(2) fail so, in the units that do the work:
// seccomp can't look at its flags (seccomp_restrict_suid_sgid in seccomp-util.c).
func TestWithoutOpenat2(t *testing.T) {
	f := newFaultFixture(t)
	for _, verb := range []helper.Verb{helper.Lock, helper.Unlock} {
		if result, exitCode, _ := f.helper(verb, "openat2:error=ENOSYS"); exitCode != helper.ExitDone {
			t.Errorf("%s = exit code %d: %s", verb, exitCode, result.Error)
		}
	}
}

func (f *faultFixture) checkFailure(fault string, verb helper.Verb, result *helper.Result, exitCode int) {
	f.t.Helper()
	switch result.Outcome {
	case helper.Done:
		f.expect(fault, goals[verb])
	case helper.Failed, helper.Blocked:
		if result.Error == "" || strings.Contains(result.Error, "\n") {
			f.t.Errorf("%s: error = %q", fault, result.Error)
		}
	default:
		f.t.Errorf("%s: outcome = %s", fault, result.Outcome)
	}
	if exitCode != result.Outcome.ExitCode() || !slices.Contains([]int{0, 1, 3}, exitCode) {
		f.t.Errorf("%s: exit code %d with outcome %s", fault, exitCode, result.Outcome)
	}
	f.expectWords(result)
	f.expectTruth(fault)
	if result.Status == nil {
		f.expectUntouched(fault, result)
	} else if now := f.status(); !f.sameState(result.Status.Paths, now.Paths) {
		f.t.Errorf("%s: the result says %+v, yet it is %+v (%s)", fault, result.Status.Paths, now.Paths, result.Error)
	}
	f.must(verb)
	f.expect(fault+", then again", goals[verb])
	f.expectOthersWritable(fault + ", then again")
}

// expectUntouched holds for a request that failed before it looked at the system.
func (f *faultFixture) expectUntouched(fault string, result *helper.Result) {
	f.t.Helper()
	if result.Before != nil {
		f.t.Errorf("%s: the result tells the state before, but not after: %s", fault, result.Error)
	}
}

// sameState compares what the result says with what is. A layer that the result could
// not read, because that was the call that failed, says so itself.
func (f *faultFixture) sameState(said, is []helper.PathStatus) bool {
	if len(said) != len(is) {
		return false
	}
	for i := range said {
		if said[i].State == helper.Unknown && said[i].Error != "" {
			continue
		}
		if !reflect.DeepEqual(said[i], is[i]) {
			return false
		}
	}
	return true
}
