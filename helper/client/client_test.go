package client

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"immutray.org/helper"
)

// script writes an executable shell script and returns its path.
func script(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// answering is a script that answers as the helper does.
func answering(t *testing.T, r helper.Result) string {
	t.Helper()
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return "echo '" + helper.Handshake + "'\ncat <<'END'\n" + string(line) + "\nEND"
}

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// release lets a script go on that reads from the fifo.
func release(t *testing.T, fifo string) {
	t.Helper()
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestDo(t *testing.T) {
	want := helper.Result{Request: helper.Request{Verb: helper.Lock, ID: "1", User: "rrs"}, Outcome: helper.Done}
	c := &Client{Pkexec: script(t, answering(t, want)+"\nexit 5")}
	got, err := c.Do(context.Background(), helper.Request{Verb: helper.Lock})
	if err != nil {
		t.Fatalf("Do() = %v, want nil whatever the exit code is", err)
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("Do() = %+v, want %+v", *got, want)
	}
}

func TestDoResultError(t *testing.T) {
	for _, outcome := range []helper.Outcome{helper.Failed, helper.Usage, helper.Blocked, helper.NotPrepared, helper.PackageManager, helper.ConfigRefused, helper.TooLong} {
		want := helper.Result{Request: helper.Request{Verb: helper.Unlock}, Outcome: outcome, Error: "cannot unlock: why"}
		// pkexec's own words on the way do not count any more, nor does its exit code.
		c := &Client{Pkexec: script(t, answering(t, want)+"\necho 'Not authorized' >&2\nexit 126")}
		got, err := c.Do(context.Background(), helper.Request{Verb: helper.Unlock})
		var refused *helper.ResultError
		if !errors.As(err, &refused) || refused.Result != got || got == nil || got.Outcome != outcome {
			t.Errorf("%s: Do() = %+v, %v, want a ResultError with the result", outcome, got, err)
		}
	}
}

func TestDoCommandLine(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	record := script(t, `{ for a in "$@"; do echo "$a"; done; echo; env; echo; readlink /proc/self/fd/0; } > `+log+"\n"+
		answering(t, helper.Result{Request: helper.Request{Verb: helper.Lock}, Outcome: helper.Done}))
	for name, value := range map[string]string{
		"SHELL": "/usr/bin/fish", "LC_ALL": "../../x", "LC_TIME": "a/b", "LANG": "de_DE.UTF-8", "LANGUAGE": "de/%s",
		"DISPLAY": ":7", "XAUTHORITY": "/home/rrs/.Xauthority", "GIO_EXTRA_MODULES": "/tmp", "LD_PRELOAD": "",
		"PKEXEC_UID": "0", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x",
	} {
		t.Setenv(name, value)
	}
	tests := []struct {
		name    string
		client  Client
		request helper.Request
		args    []string
		env     []string
		absent  []string
	}{
		{
			name:   "through pkexec",
			client: Client{Pkexec: record},
			args:   []string{"--disable-internal-agent", helper.HelperPath, "lock"},
			env:    []string{"SHELL=/bin/sh", "LC_ALL=C.UTF-8", "DISPLAY=:7", "XAUTHORITY=/home/rrs/.Xauthority", "DBUS_SESSION_BUS_ADDRESS=unix:path=/x", "PATH=" + os.Getenv("PATH")},
			absent: []string{"LC_TIME", "LANG", "LANGUAGE", "GIO_EXTRA_MODULES", "LD_PRELOAD", "PKEXEC_UID"},
		},
		{
			name:   "directly",
			client: Client{Direct: true, Helper: record},
			args:   []string{"lock"},
			absent: []string{"PKEXEC_UID", "LC_ALL", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS"},
		},
		{
			name:   "directly with a configuration",
			client: Client{Direct: true, Helper: record, Config: "/etc/other.toml"},
			args:   []string{"lock", "--config", "/etc/other.toml"},
		},
		{
			name:    "for a time",
			client:  Client{Pkexec: record},
			request: helper.Request{For: 90 * time.Minute},
			args:    []string{"--disable-internal-agent", helper.HelperPath, "lock", "--for", "1h30m0s"},
		},
		{
			name:    "until locked, directly with a configuration",
			client:  Client{Direct: true, Helper: record, Config: "/etc/other.toml"},
			request: helper.Request{UntilLocked: true},
			args:    []string{"lock", "--until-locked", "--config", "/etc/other.toml"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.request.Verb = helper.Lock
			if _, err := test.client.Do(context.Background(), test.request); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			parts := strings.Split(strings.TrimSpace(string(data)), "\n\n")
			if len(parts) != 3 {
				t.Fatalf("the script recorded %q", data)
			}
			if got := strings.Split(parts[0], "\n"); !slices.Equal(got, test.args) {
				t.Errorf("arguments %q, want %q", got, test.args)
			}
			env := strings.Split(parts[1], "\n")
			for _, want := range test.env {
				if !slices.Contains(env, want) {
					t.Errorf("environment lacks %q: %q", want, env)
				}
			}
			for _, name := range test.absent {
				if slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") }) {
					t.Errorf("environment has %s: %q", name, env)
				}
			}
			if parts[2] != "/dev/null" {
				t.Errorf("standard input is %s, want /dev/null", parts[2])
			}
		})
	}
}

func TestCleanEnvironmentDropsStrangeDisplay(t *testing.T) {
	for _, display := range []string{"/private/tmp/com.apple.launchd/:0", "a..b:0", "%d:0"} {
		if got := cleanEnvironment([]string{"DISPLAY=" + display}); len(got) != 2 {
			t.Errorf("cleanEnvironment(DISPLAY=%s) = %q, want it dropped: pkexec refuses it", display, got)
		}
	}
}

func TestCommandIsNotTiedToUs(t *testing.T) {
	for _, c := range []*Client{{}, {Direct: true}} {
		cmd, err := c.command(helper.Request{Verb: helper.Lock})
		if err != nil {
			t.Fatal(err)
		}
		if cmd.SysProcAttr != nil || cmd.Cancel != nil {
			t.Errorf("command() has SysProcAttr %v, Cancel %t, want neither: a helper at work must not be killed", cmd.SysProcAttr, cmd.Cancel != nil)
		}
	}
}

func TestDoRefusesConfigForUsers(t *testing.T) {
	c := &Client{Pkexec: script(t, "exit 0"), Config: "/etc/other.toml"}
	if _, err := c.Do(context.Background(), helper.Request{Verb: helper.Lock}); err == nil || err.Error() != "cannot choose a configuration: only root may" {
		t.Errorf("Do() = %v", err)
	}
}

func TestDoWithoutResult(t *testing.T) {
	const handshake = "echo '" + helper.Handshake + "'\n"
	good := answering(t, helper.Result{Request: helper.Request{Verb: helper.Lock}, Outcome: helper.Done})
	tests := []struct{ name, script, want string }{
		{"killed after the handshake", handshake + "kill -9 $$", "cannot lock: the helper started, but did not report how it ended"},
		{"exit 0 after the handshake", handshake + "exit 0", ""},
		{"exit 126 after the handshake", handshake + "exit 126", ""},
		{"a crash", handshake + "echo 'panic: no' >&2\nexit 2", "cannot lock: the helper started, but did not report how it ended (panic: no)"},
		{"garbage after the handshake", handshake + "echo '{'", ""},
		{"half a handshake", "printf '" + helper.Handshake + "'", ""},
		{"half a result", handshake + `printf '{"request":{"verb":"lock"},"outcome":"done"}'`, ""},
		{"an empty result", handshake + "echo '{}'", ""},
		{"another verb's result", answering(t, helper.Result{Request: helper.Request{Verb: helper.Unlock}, Outcome: helper.Done}), ""},
		{"a result and more", good + "\necho more", ""},
		{"endless output", handshake + "head -c 6000000 /dev/zero | tr '\\0' x\necho\n" + strings.TrimPrefix(good, handshake), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Client{Pkexec: script(t, test.script)}
			r, err := c.Do(context.Background(), helper.Request{Verb: helper.Lock})
			if r != nil || !errors.Is(err, ErrNoResult) || test.want != "" && err.Error() != test.want {
				t.Errorf("Do() = %v, %v, want ErrNoResult %q", r, err, test.want)
			}
		})
	}
}

// A helper that stays to lock when the window ends has answered when it falls silent.
func TestDoDoesNotWaitForAHelperThatStays(t *testing.T) {
	fifo := fifo(t)
	good := answering(t, helper.Result{Request: helper.Request{Verb: helper.Unlock}, Outcome: helper.Done})
	c := &Client{Direct: true, Helper: script(t, good+"\nexec >/dev/null 2>&1\nread x < "+fifo)}
	if r, err := c.Do(context.Background(), helper.Request{Verb: helper.Unlock}); err != nil || r.Outcome != helper.Done {
		t.Errorf("Do() = %v, %v, want the answer", r, err)
	}
	release(t, fifo)
}

// One that closes its output without an answer may still be about to say why.
func TestDoWaitsForTheEndOfWhoDoesNotAnswer(t *testing.T) {
	c := &Client{Pkexec: script(t, "exec >&-\nsleep 0.1\necho 'Not authorized' >&2\nexit 127")}
	_, err := c.Do(context.Background(), helper.Request{Verb: helper.Lock})
	var refused *AuthorizationError
	if !errors.As(err, &refused) || refused.Kind != NotAuthorized {
		t.Errorf("Do() = %v, want that it was not authorized", err)
	}
}

func TestDoHangingHelper(t *testing.T) {
	fifo := fifo(t)
	c := &Client{
		Pkexec:  script(t, "echo '"+helper.Handshake+"'\nread x < "+fifo),
		timeout: time.Millisecond,
	}
	_, err := c.Do(context.Background(), helper.Request{Verb: helper.Lock})
	if !errors.Is(err, ErrNoResult) {
		t.Errorf("Do() = %v, want ErrNoResult", err)
	}
	release(t, fifo)
}

// A prompt that nobody answers is withdrawn with the request.
func TestDoCancelledBeforeHandshake(t *testing.T) {
	fifo := fifo(t)
	c := &Client{Pkexec: script(t, "echo $$ > "+fifo+"\nexec sleep 1000")}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Do(ctx, helper.Request{Verb: helper.Unlock})
		ended <- err
	}()
	data, err := os.ReadFile(fifo) // waits for the script
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoResult) {
		t.Errorf("Do() = %v, want that it was cancelled", err)
	}
	gone := filepath.Join("/proc", strings.TrimSpace(string(data)))
	for {
		if _, err := os.Stat(gone); os.IsNotExist(err) {
			return
		}
	}
}

// readHandshake is a script that goes on only when its handshake has been read: the
// line after it is longer than a pipe (64 KiB, pipe(7)) and what one read takes from it.
const readHandshake = "echo '" + helper.Handshake + "'\nhead -c 200000 /dev/zero | tr '\\0' x\necho\n"

// A helper at work goes on, although nobody waits for it any longer.
func TestDoCancelledAfterHandshake(t *testing.T) {
	begun, goOn, finished := fifo(t), fifo(t), filepath.Join(t.TempDir(), "finished")
	c := &Client{Direct: true, Helper: script(t, readHandshake+"echo > "+begun+"\nread x < "+goOn+"\necho > "+finished)}
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Do(ctx, helper.Request{Verb: helper.Lock})
		ended <- err
	}()
	if _, err := os.ReadFile(begun); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("the applet quits")
	cancel(cause)
	if err := <-ended; !errors.Is(err, cause) || !errors.Is(err, ErrNoResult) {
		t.Errorf("Do() = %v, want its cause, and that there is no result", err)
	}
	release(t, goOn)
	for {
		if _, err := os.Stat(finished); err == nil {
			return
		}
	}
}

// Unless that is asked for.
func TestDoToTheEnd(t *testing.T) {
	begun, goOn := fifo(t), fifo(t)
	want := helper.Result{Request: helper.Request{Verb: helper.Lock}, Outcome: helper.Done}
	line, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Direct: true, ToTheEnd: true, Helper: script(t, readHandshake+"echo > "+begun+"\nread x < "+goOn+"\necho '"+string(line)+"'")}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Do(ctx, helper.Request{Verb: helper.Lock})
		ended <- err
	}()
	if _, err := os.ReadFile(begun); err != nil {
		t.Fatal(err)
	}
	cancel()
	release(t, goOn)
	if err := <-ended; err != nil {
		t.Errorf("Do() = %v, want the answer", err)
	}
}
