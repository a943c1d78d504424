package writers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"immutray.org/packaging/testbed/lab"
)

// during repeats something until the function that it returns is called, which the
// test does before it ends however it ends: no later test is to meet what it leaves.
func during(t *testing.T, something func() error) (stop func()) {
	t.Helper()
	end, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-end:
				ended <- nil
				return
			default:
			}
			if err := something(); err != nil {
				ended <- err
				return
			}
		}
	}()
	return func() {
		close(end)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestProcessesThatVanish scans while processes come and go by the hundred.
func TestProcessesThatVanish(t *testing.T) {
	s := lab.New(t)
	c := start(t, "write", create(t, filepath.Join(s.Root, "file")))
	defer during(t, func() error { return exec.Command("true").Run() })()
	for range 200 {
		if found := scanAll(t, s); len(found) != 1 || found[0].PID != c.pid {
			t.Fatalf("Scan = %+v, want one writer", found)
		}
	}
}

// TestLoopDevicesThatVanish scans while a loop device comes and goes whose file has
// no path any more: only the device itself can say where it lies.
func TestLoopDevicesThatVanish(t *testing.T) {
	s := lab.New(t)
	dir := filepath.Join(s.Dir, "images")
	defer during(t, func() error {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		image := filepath.Join(dir, "image")
		if err := os.WriteFile(image, make([]byte, 1<<16), 0o600); err != nil {
			return err
		}
		script := fmt.Sprintf(`d=$(losetup --find --show '%s') && rm -r '%s' && losetup --detach "$d"`, image, dir)
		if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})()
	for range 500 {
		if found := scanAll(t, s); len(found) > 0 {
			t.Fatalf("Scan = %+v, want nothing", found)
		}
	}
}
