package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/statedir"
	"immutray.org/helper/statefile"
)

// begin starts a helper and returns it when it has greeted.
func (s *system) begin(t *testing.T, args ...string) (cmd *exec.Cmd, out *bufio.Reader, pipe io.Closer) {
	t.Helper()
	cmd = exec.Command(s.helper, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out = bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); err != nil || line != helper.Handshake+"\n" {
		t.Fatalf("the helper began with %q, %v", line, err)
	}
	return cmd, out, stdout
}

// The applet may be gone before the lock is done.
func TestCallerGoesAway(t *testing.T) {
	s := newSystem(t)
	cmd, _, pipe := s.begin(t, "lock", "--config", s.config)
	pipe.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the helper ended with %v, want exit 0", err)
	}
	s.locked(t)
}

// What a terminal sends to all that run on it does not stop a helper half-way.
func TestSignals(t *testing.T) {
	s := newSystem(t)
	s.write(t, strings.ReplaceAll(read(t, s.config), `"0s"`, `"5m"`))
	busy, err := os.Create(filepath.Join(s.Root, "busy"))
	if err != nil {
		t.Fatal(err)
	}
	cmd, out, _ := s.begin(t, "lock", "--config", s.config)
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGPIPE} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	busy.Close() // until now the helper has waited for it
	var r helper.Result
	if err := json.NewDecoder(out).Decode(&r); err != nil {
		t.Errorf("no result: %v", err)
	}
	if err := cmd.Wait(); err != nil || r.Outcome != helper.Done {
		t.Errorf("the helper ended with %v, %+v, want exit 0", err, r)
	}
	s.locked(t)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A caller with a hostile umask, directory, environment and limits gets the same.
func TestHostileCaller(t *testing.T) {
	s := newSystem(t)
	if err := os.Remove(s.State); err != nil {
		t.Fatal(err)
	}
	const shell = `umask 0; cd /tmp; trap '' TERM; exec 0<&-
prlimit --pid $$ --fsize=0: --nofile=16: --core=unlimited: || exit 99
exec "$@"`
	for name, line := range map[string]string{
		"umask 0":               shell,
		"umask 777":             strings.Replace(shell, "umask 0", "umask 777", 1),
		"standard error closed": strings.Replace(shell, "0<&-", "0<&- 2>&-", 1),
	} {
		cmd := exec.Command("/bin/sh", "-c", line, "sh", s.helper, "lock", "--config", s.config)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/tmp", "TMPDIR=/nowhere", "GOTRACEBACK=crash", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/x", "TZ=/etc/shadow"}
		if got := runCommand(t, cmd); got.code != helper.ExitDone {
			t.Errorf("%s: exit %d, %+v, %q", name, got.code, got.result, got.stderr)
		}
		for path, want := range map[string]os.FileMode{s.State: 0o755, filepath.Join(s.State, statedir.StateFile): 0o644} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("%s: %s has mode %o, want %o", name, path, got, want)
			}
		}
	}
	s.locked(t)
}

// Closed descriptors must not become files that the result is written to.
func TestOutputClosed(t *testing.T) {
	s := newSystem(t)
	before := read(t, s.config)
	cmd := exec.Command("/bin/sh", "-c", `exec "$@" 0<&- 1>&- 2>&-`, "sh", s.helper, "lock", "--config", s.config)
	if err := cmd.Run(); err != nil {
		t.Errorf("the helper ended with %v", err)
	}
	if after := read(t, s.config); after != before {
		t.Errorf("the configuration became %q", after)
	}
	if _, err := statefile.Read(s.State); err != nil {
		t.Error(err)
	}
	s.locked(t)
}
