package systemd

import (
	"fmt"
	"net"
	"os"
	"time"

	"immutray.org/helper"
)

// aliveEvery is how often the process of a unit says that it is alive.
const aliveEvery = helper.UnitSilence / 6

// A Unit is the service that this process runs in, if it runs in one.
type Unit struct {
	socket string // NOTIFY_SOCKET of sd_notify(3); "" where PID 1 does not listen
	every  time.Duration
}

// OwnUnit returns the unit of a process whose environment is still the one that it was
// started with.
func OwnUnit() Unit { return Unit{socket: os.Getenv("NOTIFY_SOCKET"), every: aliveEvery} }

// KeepAlive reports to PID 1 again and again that this process is alive, until stop is called,
// or for as long as a run of a unit may take. A process that is stopped or frozen says
// nothing: then PID 1 ends it, and the request is tried again.
func (u Unit) KeepAlive() (stop func()) {
	if u.socket == "" {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		over := time.After(helper.UnitTimeout - helper.UnitSilence)
		again := time.NewTicker(u.every)
		defer again.Stop()
		for {
			_ = u.extend() // after an error the next one may reach PID 1
			select {
			case <-again.C:
			case <-over:
				return
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended) }
}

// extend has PID 1 wait for as long again from now (EXTEND_TIMEOUT_USEC= in sd_notify(3)).
func (u Unit) extend() error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: u.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(u.every)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(conn, "EXTEND_TIMEOUT_USEC=%d", helper.UnitSilence.Microseconds())
	return err
}
