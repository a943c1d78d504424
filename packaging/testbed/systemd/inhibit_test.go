package systemd

import (
	"os"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// inhibitors stands in for logind as far as it lets shutdown and sleep wait.
type inhibitors struct {
	asked chan [4]string
	held  chan *os.File // the other end of what was given: it ends with that
}

func (i inhibitors) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	read, write, err := os.Pipe()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	i.asked <- [4]string{what, who, why, mode}
	i.held <- read
	fd := dbus.UnixFD(write.Fd())
	time.AfterFunc(10*time.Second, func() { write.Close() }) // it is sent after this returns
	return fd, nil
}

// While the system is unlocked, and no longer, shutdown and sleep wait for whatever installs
// packages, by the unit as it is shipped.
func TestShutdownWaitsForPackageManagers(t *testing.T) {
	b := boot(t)
	conn := b.bus()
	logind := inhibitors{make(chan [4]string, 8), make(chan *os.File, 8)}
	if err := conn.Export(logind, "/org/freedesktop/login1", "org.freedesktop.login1.Manager"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.freedesktop.login1", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	isActive := func() bool { return b.try("systemctl", "is-active", "--quiet", inhibit) == nil }
	b.ask("lock")
	if isActive() {
		t.Error("somebody attends to a system that is locked")
	}
	for range 2 {
		b.ask("unlock", "--for", "1h")
		b.await("the unit", isActive)
		pacman := b.command("sh", "-c", "mkdir -p /var/lib/pacman && exec 3>/var/lib/pacman/db.lck && read x")
		end, err := pacman.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := pacman.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-logind.asked:
			if want := [4]string{"shutdown:sleep", "Immutray", `"pacman" is changing the operating system`, "block"}; got != want {
				t.Errorf("asked for %q, want %q", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatal("nobody has the machine wait")
		}
		held := <-logind.held
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = held.Read(make([]byte, 1))
			held.Close()
		}()
		select {
		case <-ended:
			t.Error("the machine waits no longer, though pacman is at work")
		case <-time.After(3 * time.Second):
		}
		end.Close()
		_ = pacman.Wait() // it has read nothing
		b.output("rm", "/var/lib/pacman/db.lck")
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Fatal("the machine waits, though pacman has ended")
		}
		// The next unlock finds it at work, or starts another.
		b.ask("lock")
	}
	b.await("the end of the unit", func() bool { return !isActive() })
	if b.try("systemctl", "is-failed", "--quiet", inhibit) == nil {
		t.Error("the unit failed")
	}
}
