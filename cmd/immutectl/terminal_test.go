package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a pseudo-terminal.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	// Without O_NONBLOCK the descriptor would not go to Go's poller, and no deadline hold.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

// TestColours runs immutectl on a real terminal, which shows colours or not.
func TestColours(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		want bool
	}{
		{"terminal", []string{"TERM=xterm-256color"}, true},
		{"NO_COLOR", []string{"TERM=xterm-256color", "NO_COLOR=1"}, false},
		{"NO_COLOR empty", []string{"TERM=xterm-256color", "NO_COLOR="}, true},
		{"TERM dumb", []string{"TERM=dumb"}, false},
		{"TERM missing", nil, false},
	}
	dir := t.TempDir()
	const status = `{"state":"unlocked","paths":[{"path":"/","property":"rw","mount":"rw","state":"unlocked"},{"path":"/etc","state":"unknown"}]}`
	if err := os.WriteFile(dir+"/status.json", []byte(status), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := onTerminal(t, dir, test.env, "status")
			for _, words := range []string{"\x1b[1;31mUNLOCKED (RW)\x1b[0m", "\x1b[33mNOTICE:\x1b[0m", "immutectl: \x1b[1;31merror:\x1b[0m cannot"} {
				if !test.want {
					words = strings.NewReplacer("\x1b[1;31m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(words)
				}
				if !strings.Contains(got, words) {
					t.Errorf("status on a terminal with %q = %q, want %q in it", test.env, got, words)
				}
			}
			if !test.want && strings.Contains(got, "\x1b") {
				t.Errorf("status on a terminal with %q = %q, want no colours", test.env, got)
			}
		})
	}
}

// onTerminal runs immutectl on a fake kernel with a terminal of its own, and returns
// what appeared there.
func onTerminal(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	master, terminal := openTerminal(t)
	program, err := exec.LookPath("immutectl")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append(env, "FAKE=1")
	cmd.Stdout, cmd.Stderr = terminal, terminal
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	// What has been written waits in the terminal; when nobody has it open any more,
	// reading ends with EIO (pty(7)).
	terminal.Close()
	master.SetReadDeadline(time.Now().Add(time.Minute))
	var b strings.Builder
	io.Copy(&b, master)
	return b.String()
}

func TestWaitUnread(t *testing.T) {
	t.Run("reader gone", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		returned := make(chan struct{})
		go func() {
			waitUnread(t.Context(), w)
			close(returned)
		}()
		r.Close()
		<-returned
	})
	t.Run("terminal gone", func(t *testing.T) {
		master, terminal := openTerminal(t)
		returned := make(chan struct{})
		go func() {
			waitUnread(t.Context(), terminal)
			close(returned)
		}()
		master.Close()
		<-returned
	})
	for _, name := range []string{"pipe", "file", "null"} {
		t.Run(name+" until the end", func(t *testing.T) {
			_, f, err := os.Pipe()
			if name == "file" {
				f, err = os.Create(t.TempDir() + "/f")
			} else if name == "null" {
				f, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			ctx, cancel := context.WithCancel(t.Context())
			returned := make(chan struct{})
			go func() {
				waitUnread(ctx, f)
				close(returned)
			}()
			cancel()
			<-returned
		})
	}
}
