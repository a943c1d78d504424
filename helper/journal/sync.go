package journal

import (
	"fmt"
	"net"
	"time"
)

// synchronize is the call of "journalctl --sync" (varlink.org; vl_method_synchronize in
// systemd's journald-server.c). journald works off first what was sent to it before.
const synchronize = `{"method":"io.systemd.Journal.Synchronize"}` + "\x00"

// syncBy asks for it, and waits for no answer: to write takes as long as the disk does.
func syncBy(control string) error {
	conn, err := net.DialTimeout("unix", control, patience)
	if err == nil {
		defer conn.Close()
		if err = conn.SetWriteDeadline(time.Now().Add(patience)); err == nil {
			_, err = conn.Write([]byte(synchronize))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot have the journal written to disk: %w", err)
	}
	return nil
}
