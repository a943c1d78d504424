package server

import (
	"fmt"
	"net"
	"os"
	"time"

	"immutray.org/helper"
)

// aliveEvery is how often a unit's process says that it is at work.
const aliveEvery = helper.UnitSilence / 6

// An alive tells PID 1 that this process is at work. One that is stopped, or frozen, says
// nothing: then PID 1 ends it, and what was asked for is tried again.
type alive struct {
	socket string // NOTIFY_SOCKET of sd_notify(3); "" is nobody who listens
	every  time.Duration
}

// say says so until stop is called, or for as long as a run of a unit may take.
func (a alive) say() (stop func()) {
	if a.socket == "" {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		over := time.After(helper.UnitLimit - helper.UnitSilence)
		again := time.NewTicker(a.every)
		defer again.Stop()
		for {
			_ = a.extend() // what PID 1 could not be told now it is told the next time
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
func (a alive) extend() error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: a.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(a.every)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(conn, "EXTEND_TIMEOUT_USEC=%d", helper.UnitSilence.Microseconds())
	return err
}

// aliveOf is for the process that was started with this environment.
func aliveOf() alive { return alive{socket: os.Getenv("NOTIFY_SOCKET"), every: aliveEvery} }
