package server

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"immutray.org/helper"
)

// A process at work says so again and again, and no longer when it is done. Where nobody
// listens it is no trouble.
func TestAlive(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hear := func(patience time.Duration) string {
		buffer := make([]byte, 100)
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, _ := conn.Read(buffer)
		return string(buffer[:n])
	}
	stop := alive{socket: socket, every: 10 * time.Millisecond}.say()
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
	for _, nobody := range []string{"", filepath.Join(t.TempDir(), "absent")} {
		alive{socket: nobody, every: time.Millisecond}.say()()
	}
	if 3*aliveEvery > helper.UnitSilence {
		t.Errorf("it says so every %v, and may be silent for %v", aliveEvery, helper.UnitSilence)
	}
}
