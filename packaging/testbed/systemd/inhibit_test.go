package systemd

import (
	"os"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// inhibitors is the part of logind that makes shutdown and sleep wait.
type inhibitors struct {
	asked chan [4]string
	held  chan *os.File // the other ends of the inhibitors: each is at its end when its inhibitor is closed
}

func (i inhibitors) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	read, write, err := os.Pipe()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	i.asked <- [4]string{what, who, why, mode}
	i.held <- read
	fd := dbus.UnixFD(write.Fd())
	time.AfterFunc(10*time.Second, func() { write.Close() }) // godbus sends it after the return
	return fd, nil
}

// As long as the system is unlocked, immutray-inhibit.service makes shutdown and sleep wait
// for running package managers.
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
		t.Error("the unit runs although the system is locked")
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
			t.Fatal("nothing makes shutdown and sleep wait")
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
			t.Error("shutdown and sleep do not wait any more, although pacman is running")
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
		// It may still run at the next unlock, or that starts it again.
		b.ask("lock")
	}
	b.await("the end of the unit", func() bool { return !isActive() })
	if b.try("systemctl", "is-failed", "--quiet", inhibit) == nil {
		t.Error("the unit failed")
	}
}
