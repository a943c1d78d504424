package journal

import (
	"fmt"
	"net"
	"time"
)

// synchronize is the call of "journalctl --sync" (varlink.org; vl_method_synchronize in
// systemd's journald-server.c). journald first stores what was sent to it before.
const synchronize = `{"method":"io.systemd.Journal.Synchronize"}` + "\x00"

// syncBy sends the call, and does not wait for the disk.
func syncBy(control string) error {
	conn, err := net.DialTimeout("unix", control, timeout)
	if err == nil {
		defer conn.Close()
		if err = conn.SetWriteDeadline(time.Now().Add(timeout)); err == nil {
			_, err = conn.Write([]byte(synchronize))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot have the journal written to disk: %w", err)
	}
	return nil
}
