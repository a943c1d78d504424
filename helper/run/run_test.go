package run

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

func TestTheCommandAloneCanWrite(t *testing.T) {
	f := newFixture(t)
	f.set(setup{Reason: "new kernel"})
	cmd := f.start(`echo a >$ROOT/file && echo b >$ETC/file && echo ready && cat >$ROOT/input`)
	f.expect("while it runs", granted)
	s := f.status()
	for _, p := range s.Paths {
		if p.Mount != helper.ReadOnly || p.Property != helper.Writable || p.Superblock != helper.Writable {
			t.Errorf("while it runs: %+v", p)
		}
	}
	if len(s.Runs) != 1 || s.Runs[0].Reason != "new kernel" || s.Runs[0].PID != cmd.Process.Pid || s.Runs[0].Command[0] != "sh" {
		t.Errorf("while it runs: %+v", s.Runs)
	}
	io.WriteString(f.stdin, "more")
	f.stdin.Close()
	code, end := f.run(cmd)
	if code != 0 || end.Err != "" || end.Result == nil || end.Result.Outcome != helper.Done || len(end.Result.Notices) > 0 {
		t.Errorf("exit code %d, %+v", code, end)
	}
	f.expect("afterwards", helper.Locked)
	if s := f.status(); len(s.Runs) != 0 {
		t.Errorf("afterwards: %+v", s.Runs)
	}
	for file, want := range map[string]string{f.Root + "/file": "a\n", f.Etc + "/file": "b\n", f.Root + "/input": "more"} {
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v", file, got, err)
		}
	}
	log := f.journal()
	for _, want := range []string{
		`about to run "` + f.Root + `" "` + f.Etc + `" for root (new kernel) sh`,
		"\nrun for root (new kernel): done, the system is locked ",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("journal %q, want %q in it", log, want)
		}
	}
}

func TestInputAndOutputAreTheCommands(t *testing.T) {
	f := newFixture(t)
	cmd := f.runner("sh", "-c", `cat; echo "$1" >&2; pwd`, "sh", "an argument")
	var out, words bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("input\n"), &out, &words
	cmd.Dir = f.Etc
	code, _ := f.run(cmd)
	if want := "input\n" + f.Etc + "\n"; code != 0 || out.String() != want || words.String() != "an argument\n" {
		t.Errorf("exit code %d, %q, %q", code, out.String(), words.String())
	}
	// The directory it is in is writable as well.
	cmd = f.runner("touch", "here")
	cmd.Dir = f.Etc
	if code, end := f.run(cmd); code != 0 {
		t.Errorf("exit code %d, %+v", code, end)
	}
}

func TestExitCodes(t *testing.T) {
	f := newFixture(t)
	script := filepath.Join(f.Dir, "script")
	if err := os.WriteFile(script, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		command []string
		want    int
		err     string
	}{
		{[]string{"true"}, 0, ""},
		{[]string{"sh", "-c", "exit 7"}, 7, ""},
		{[]string{"sh", "-c", "exit 255"}, 255, ""},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143, ""},
		{[]string{"sh", "-c", "kill -KILL $$"}, 137, ""},
		{[]string{"sh", "-c", "kill -PIPE $$"}, 141, ""},
		{[]string{"no-such-program"}, 127, `cannot run "no-such-program": no such program`},
		{[]string{"/no/such/program"}, 127, `cannot run "/no/such/program": no such program`},
		{[]string{"/etc/passwd"}, 126, `cannot run "/etc/passwd": permission denied`},
		{[]string{script}, 126, `cannot run "` + script + `": exec format error`},
	} {
		code, end := f.run(f.runner(test.command...))
		if code != test.want || end.Err != test.err {
			t.Errorf("%q: exit code %d, %q, want %d, %q", test.command, code, end.Err, test.want, test.err)
		}
		f.expect(strings.Join(test.command, " "), helper.Locked)
	}
}

func TestSignalsAreTheCommands(t *testing.T) {
	f := newFixture(t)
	for _, s := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGQUIT} {
		cmd := f.start(`for s in 1 2 3 10 12 15; do trap "kill \$!; exit $s" $s; done; sleep 60 >&- & echo ready; wait`)
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if code, end := f.run(cmd); code != int(s) {
			t.Errorf("%v: exit code %d, %+v", s, code, end)
		}
		f.expect(s.String(), helper.Locked)
	}
}

// What is unlocked stays so, and the command is simply run.
func TestInAnUnlockedSystem(t *testing.T) {
	f := newFixture(t)
	f.must(helper.Unlock)
	asked := f.lastRequest()
	cmd := f.shell(`touch $ROOT/file && exit 5`)
	var words bytes.Buffer
	cmd.Stderr = &words
	code, end := f.run(cmd)
	if code != 5 || end.Err != "" || end.Result != nil || words.String() != "unlocked already\n" {
		t.Errorf("exit code %d, %+v, %q", code, end, words.String())
	}
	f.expect("afterwards", helper.Unlocked)
	if f.lastRequest() != asked || f.journal() != "" {
		t.Errorf("something was changed: %q", f.journal())
	}
}

func TestRefusals(t *testing.T) {
	f := newFixture(t)
	refused := func(name string, wantCode int, want string) {
		t.Helper()
		code, end := f.run(f.shell("touch $ROOT/file"))
		if code != wantCode || !strings.Contains(end.Err, want) {
			t.Errorf("%s: exit code %d, %q, want %d, %q", name, code, end.Err, wantCode, want)
		}
		if _, err := os.Stat(f.Root + "/file"); err == nil {
			t.Errorf("%s: the command was run", name)
		}
		if s := f.status(); s.Paths[0].Property != helper.ReadOnly || len(s.Runs) > 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	f.command("mount", "-o", "remount,bind,rw", f.Etc)
	refused("open mount", 1, `cannot run the command: the mount flag of "`+f.Etc+`" is not set, so that others could write too`)
	// The lock at its end would make more read-only than there is.
	f.engine.Config.Islands = append(f.engine.Config.Islands, f.Root)
	f.set(setup{SystemWide: true})
	refused("island, system-wide", helper.ExitNotPrepared, "these would become read-only too: "+f.Root)
	f.engine.Config.Islands = nil
	f.set(setup{})
	f.command("mount", "-o", "remount,bind,ro", f.Etc)

	f.engine.Config.Paths = append(f.engine.Config.Paths, "/no/such/directory")
	f.set(setup{})
	refused("no path", helper.ExitConfigRefused, "cannot protect")
	f.engine.Config.Paths = f.Protected()

	if err := os.Chmod(f.State, 0o777); err != nil {
		t.Fatal(err)
	}
	f.set(setup{})
	refused("state directory of everyone", 1, "cannot use the state directory")
	os.Chmod(f.State, 0o755)
	if err := os.WriteFile(f.State+"/runs", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("no directory for the record", 1, "cannot record the command")
	os.Remove(f.State + "/runs")

	f.command("mount", "-o", "remount,ro", f.Root)
	refused("superblock", 1, "the whole file system of \""+f.Root+"\" is read-only")
	f.command("mount", "-o", "remount,rw", f.Top)
	refused("the whole file system", 1, `cannot run the command: "`+f.Top+`" is writable and shows "`+f.Root+`" too, so others could write to it`)
	f.set(setup{EvenSo: true})
	if code, end := f.run(f.shell("true")); code != 0 {
		t.Errorf("even so: exit code %d, %+v", code, end)
	}
	f.set(setup{})
	if err := f.CloseTop(); err != nil {
		t.Fatal(err)
	}
	if code, end := f.run(f.shell("touch $ROOT/file")); code != 0 {
		t.Errorf("in the end: exit code %d, %+v", code, end)
	}
	f.expect("in the end", helper.Locked)
}

func TestNobodyLocksOrIsLockedOutMeanwhile(t *testing.T) {
	f := newFixture(t)
	cmd := f.start(`echo ready; read line; touch $ETC/late`)
	for _, verb := range []helper.Verb{helper.Lock, helper.Seal} {
		r := f.ask(verb)
		if want := `only "sh" (pid ` + itoa(cmd.Process.Pid) + `) can still write, until it ends`; r.Outcome != helper.Done || len(r.Notices) != 1 || r.Notices[0] != want {
			t.Errorf("%s = %s: %s, %q", verb, r.Outcome, r.Error, r.Notices)
		}
		f.expect("locked already", granted)
	}

	// Unlocked meanwhile, it stays so until the command ends, and when it does.
	f.must(helper.Unlock)
	f.expect("unlocked", helper.Unlocked)
	r := f.ask(helper.Lock)
	if want := `cannot lock: immutectl run is running: "sh" (pid `; r.Outcome != helper.PackageManager || !strings.HasPrefix(r.Error, want) {
		t.Errorf("lock = %s: %s", r.Outcome, r.Error)
	}
	f.expect("a lock was refused", helper.Unlocked)
	f.stdin.Close()
	code, end := f.run(cmd)
	if code != 0 || end.Result == nil || len(end.Result.Notices) != 2 || !strings.HasSuffix(end.Result.Notices[0], " was unlocked meanwhile, and stays so") {
		t.Errorf("end = %+v, %+v", end, end.Result)
	}
	f.expect("unlocked, afterwards", helper.Unlocked)
	f.must(helper.Lock)
}

// The last of several sets the property again.
func TestTwoCommands(t *testing.T) {
	f := newFixture(t)
	first := f.start(`echo ready; exec sleep 60 >&-`)
	second := f.start(`echo ready; exec sleep 60 >&-`)
	if s := f.status(); len(s.Runs) != 2 || s.Runs[0].PID != first.Process.Pid {
		t.Errorf("runs = %+v", s.Runs)
	}
	first.Process.Signal(unix.SIGTERM)
	_, end := f.run(first)
	if want := "not locked yet: another command"; end.Result == nil || len(end.Result.Notices) != 1 || !strings.HasPrefix(end.Result.Notices[0], want) {
		t.Errorf("end = %+v", end.Result)
	}
	f.expect("one left", granted)
	second.Process.Signal(unix.SIGTERM)
	if code, end := f.run(second); code != 143 || end.Err != "" {
		t.Errorf("exit code %d, %+v", code, end)
	}
	f.expect("none left", helper.Locked)
}

// What a dead guardian and a dead runner leave behind is locked by the next lock, and
// restored by the next command.
func TestAfterBothWereKilled(t *testing.T) {
	f := newFixture(t)
	for _, next := range []func(){
		func() { f.must(helper.Lock) },
		func() { f.run(f.shell("true")) },
	} {
		cmd := f.start(`echo ready; exec sleep 60 >&-`)
		f.command("kill", "-STOP", itoa(cmd.Process.Pid)) // so that it starts no other
		unix.Kill(f.guardian(), unix.SIGKILL)
		cmd.Process.Kill()
		cmd.Wait()
		f.await("the record is nobody's", 10*time.Second, func() bool { return len(f.status().Runs) == 0 })
		f.expect("both killed", helper.PartlyLocked)
		next()
		f.expect("afterwards", helper.Locked)
	}
}

// A property that can't be cleared (a subvolume that is sent must stay as it is) leaves
// everything as it was.
func TestAPathThatCannotBeMadeWritable(t *testing.T) {
	f := newFixture(t)
	sender := exec.Command("btrfs", "send", f.Etc)
	out, err := sender.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.must(helper.Unlock)
	// More than fits into a pipe, so that it does not end.
	if err := os.WriteFile(f.Etc+"/large", make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f.must(helper.Lock)
	if err := sender.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		sender.Process.Kill()
		sender.Wait()
	}()
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	code, end := f.run(f.shell("touch $ROOT/file"))
	if want := `cannot make "` + f.Etc + `" writable for the command: a backup is reading it`; code != 1 || !strings.HasPrefix(end.Err, want) {
		t.Errorf("exit code %d, %q, want %q", code, end.Err, want)
	}
	f.expect("not granted", helper.Locked)
	if s := f.status(); len(s.Runs) > 0 || !strings.Contains(f.journal(), "run for root: failed, the system is locked: cannot make ") {
		t.Errorf("not granted: %+v, %q", s.Runs, f.journal())
	}
}
