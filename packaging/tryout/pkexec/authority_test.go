package pkexec

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// listen starts an authority for the program, by the policy of these tests.
func listen(t *testing.T, program string) (socket string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "org.example.policy"), []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "authority")
	a := &Authority{Program: program, Policies: dir}
	if err := a.Listen(socket); err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- a.Serve() }()
	t.Cleanup(func() {
		a.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return socket
}

func TestAuthorityRefuses(t *testing.T) {
	tests := map[string]request{
		"another program": {Program: "/usr/bin/true", Arguments: []string{"look"}},
		"no argument":     {Program: "/usr/bin/example"},
		"unknown verb":    {Program: "/usr/bin/example", Arguments: []string{"break"}},
	}
	socket := listen(t, "/usr/bin/example")
	for name, req := range tests {
		t.Run(name, func(t *testing.T) {
			end, err := converse(context.Background(), socket, req)
			if err != nil {
				t.Fatal(err)
			}
			if end.Denied != notAuthorized {
				t.Errorf("%+v was answered with %+v, want %q", req, end, notAuthorized)
			}
		})
	}
}

// Without a display and without a terminal, the same as with the real one.
func TestMainWithoutAnyoneToAsk(t *testing.T) {
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	if f, err := os.Open("/dev/tty"); err == nil {
		f.Close()
		t.Log("there is a terminal here, which would be asked")
		return
	}
	socket := listen(t, "/usr/bin/example")
	if code := Main(socket, []string{"--disable-internal-agent", "/usr/bin/example", "change"}); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
}

func TestDismissedIsNotRun(t *testing.T) {
	socket := listen(t, "/usr/bin/example")
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	message := []byte(`{"program":"/usr/bin/example","arguments":["change"]}`)
	if _, _, err := conn.WriteMsgUnix(message, unix.UnixRights(0, 1, 2), nil); err != nil {
		t.Fatal(err)
	}
	replies := json.NewDecoder(conn)
	var asked, end reply
	if err := replies.Decode(&asked); err != nil || asked.Ask == nil || asked.Ask.Message != "To change <everything>" {
		t.Fatalf("the authority answered %+v, %v, want the question", asked, err)
	}
	if err := json.NewEncoder(conn).Encode(confirmation{Confirmed: false}); err != nil {
		t.Fatal(err)
	}
	if err := replies.Decode(&end); err != nil || end.Denied != dismissed {
		t.Errorf("the authority answered %+v, %v, want %q", end, err, dismissed)
	}
}

// The stand-in waits for a helper that ends, and not for one that stays to end a window.
func TestRunAsRoot(t *testing.T) {
	for script, want := range map[string]struct {
		code   int
		output string
	}{
		"echo done; exec >/dev/null 2>&1; sleep 60": {0, "done\n"},
		"echo done; sleep 0.1; exit 3":              {3, "done\n"},
		"kill -9 $$":                                {127, ""},
	} {
		output, err := os.Create(filepath.Join(t.TempDir(), "output"))
		if err != nil {
			t.Fatal(err)
		}
		defer output.Close()
		req := request{Program: "/bin/sh", Arguments: []string{"-c", script}}
		if code, err := runAsRoot(req, 1000, []*os.File{nil, output, os.Stderr}); err != nil || code != want.code {
			t.Errorf("%s: exit code %d, %v, want %d", script, code, err, want.code)
		}
		if got, err := os.ReadFile(output.Name()); err != nil || string(got) != want.output {
			t.Errorf("%s: output %q, %v, want %q", script, got, err, want.output)
		}
	}
	if _, err := runAsRoot(request{Program: "/nowhere"}, 0, []*os.File{nil, os.Stdout, os.Stderr}); err == nil {
		t.Error("a program that is not there was run")
	}
}
