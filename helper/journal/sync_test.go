package journal

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestSyncBy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := syncBy(path); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// It has hung up already, and what it asked for is there all the same.
	got, err := io.ReadAll(conn)
	if want := "{\"method\":\"io.systemd.Journal.Synchronize\"}\x00"; err != nil || string(got) != want {
		t.Errorf("asked %q, %v, want %q", got, err, want)
	}
}

func TestSyncByNobody(t *testing.T) {
	if err := syncBy(filepath.Join(t.TempDir(), "control")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("syncBy() without a socket = %v, want that it does not exist", err)
	}
}
