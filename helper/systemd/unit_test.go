package systemd

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"immutray.org/helper"
)

// A process says that it is alive until it is done. Where PID 1 does not listen it is no
// trouble.
func TestKeepAlive(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hear := func(timeout time.Duration) string {
		buffer := make([]byte, 100)
		if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
			t.Fatal(err)
		}
		n, _ := conn.Read(buffer)
		return string(buffer[:n])
	}
	stop := Unit{socket: socket, every: 10 * time.Millisecond}.KeepAlive()
	for range 3 {
		if got := hear(20 * time.Second); got != "EXTEND_TIMEOUT_USEC=30000000" {
			t.Fatalf("it said %q", got)
		}
	}
	stop()
	// One may be on its way still.
	last := time.Now()
	for hear(200*time.Millisecond) != "" {
		if time.Since(last) > 20*time.Second {
			t.Fatal("it goes on")
		}
	}
	for _, socket := range []string{"", filepath.Join(t.TempDir(), "absent")} {
		Unit{socket: socket, every: time.Millisecond}.KeepAlive()()
	}
	if 3*aliveEvery > helper.UnitSilence {
		t.Errorf("it says so every %v, and may be silent for %v", aliveEvery, helper.UnitSilence)
	}
}
