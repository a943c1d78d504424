// Package notifytest is what a test of notifications needs: a session bus of its
// own, a notification server on it that does as the test says, and a clock that
// the test moves.
package notifytest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// timeout is how long a test waits for something before it fails. Nothing depends on
// it but how soon a failure is reported.
const timeout = 30 * time.Second

// A Bus is a private session bus.
type Bus struct {
	Address string
}

// A BusOption changes how a bus is started.
type BusOption func(*busConfig)

type busConfig struct {
	serviceDirs []string
	env         []string
}

// WithServices makes the services described in dir activatable. Without it a bus
// activates none: a test must not start the services that the machine has installed.
func WithServices(dir string) BusOption {
	return func(c *busConfig) { c.serviceDirs = append(c.serviceDirs, dir) }
}

// WithEnv adds to the environment of the services that the bus activates.
func WithEnv(env ...string) BusOption {
	return func(c *busConfig) { c.env = append(c.env, env...) }
}

// StartBus starts a bus that ends with the test. Without dbus-daemon the test is
// skipped, or fails when CI=true.
func StartBus(t testing.TB, options ...BusOption) *Bus {
	t.Helper()
	requireDaemon(t)
	var c busConfig
	for _, o := range options {
		o(&c)
	}
	// Not t.TempDir: with a long test name the socket's path would not fit in the
	// 108 bytes of a sockaddr_un.
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, []byte(c.xml(dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	address := startProcess(t, exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--print-address=1"), c.env)
	return &Bus{Address: address}
}

// requireDaemon ends a test where there is no dbus-daemon: as skipped, and as failed where
// CI=true.
func requireDaemon(t testing.TB) {
	t.Helper()
	const missing = "dbus-daemon is missing (apt install dbus-daemon)"
	switch _, err := exec.LookPath("dbus-daemon"); {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(missing)
	default:
		t.Skip(missing)
	}
}

func (c *busConfig) xml(dir string) string {
	var services strings.Builder
	for _, d := range c.serviceDirs {
		fmt.Fprintf(&services, "<servicedir>%s</servicedir>\n", d)
	}
	return `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
<type>session</type>
<listen>unix:path=` + filepath.Join(dir, "socket") + `</listen>
<auth>EXTERNAL</auth>
` + services.String() + `<policy context="default">
<allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/>
<allow own="*"/>
</policy>
</busconfig>
`
}

// startProcess starts a server that says its address in the first line of its
// standard output, and ends it with the test. What it complains of is shown only
// where the test failed.
func startProcess(t testing.TB, cmd *exec.Cmd, env []string) string {
	t.Helper()
	// A file, not a pipe: Wait would wait for every child that holds the pipe too.
	complaints, err := os.CreateTemp("", "complaints")
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(complaints.Name())
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = complaints
	// So that nothing is left behind by a test that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", cmd.Path, err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			said, _ := io.ReadAll(io.NewSectionReader(complaints, 0, 1<<20))
			t.Logf("%s said:\n%s", filepath.Base(cmd.Path), said)
		}
		complaints.Close()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not say its address: %v", cmd.Path, err)
	}
	return strings.TrimSpace(line)
}

// Connect returns a connection to the bus that is closed with the test.
func (b *Bus) Connect(t testing.TB) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(b.Address)
	if err != nil {
		t.Fatalf("cannot connect to the test's bus: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// WaitForOwner waits until name has an owner, and returns the owner's unique name.
func (b *Bus) WaitForOwner(t testing.TB, name string) string {
	t.Helper()
	conn := b.Connect(t)
	changes := make(chan *dbus.Signal, 16)
	conn.Signal(changes)
	if err := conn.AddMatchSignal(dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for {
		var owner string
		if conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, name).Store(&owner) == nil {
			return owner
		}
		select {
		case <-changes:
		case <-ctx.Done():
			t.Fatalf("%s has no owner after %v", name, timeout)
		}
	}
}
