package main

import (
	"encoding/json"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// Without systemd the helper itself is what ends the window: it outlives its caller, and
// everything else in his session.
func TestHelperStaysToEndTheWindow(t *testing.T) {
	s := newSystem(t)
	if got := s.run(t, "lock", "--config", s.config); got.code != helper.ExitDone {
		t.Fatalf("%+v", got)
	}
	// A shell that waits for the helper, in a process group of its own, as a terminal has.
	caller := exec.Command("/bin/sh", "-c", `"$@"; exit`, "sh", s.helper, "unlock", "--for", "2s", "--config", s.config)
	caller.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := caller.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	var r helper.Result
	if _, err := stdout.Read(make([]byte, len(helper.Handshake)+1)); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(stdout).Decode(&r); err != nil || r.Outcome != helper.Done || r.Status.Window.Until == nil {
		t.Fatalf("unlock: %v, %+v", err, r)
	}
	s.unchanged(t)
	if n, err := stdout.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the helper has more to say")
	}
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP} {
		if err := unix.Kill(-caller.Process.Pid, sig); err != nil && err != unix.ESRCH {
			t.Fatal(err)
		}
	}
	if err := caller.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = caller.Wait()
	s.awaitLock(t)
	s.locked(t)
}

func (s *system) awaitLock(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if s.Writable(s.Root) != nil && s.Writable(s.Etc) != nil {
			return
		}
	}
	t.Fatal("the window did not end")
}
