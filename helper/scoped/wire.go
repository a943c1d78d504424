package scoped

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
	"immutray.org/helper/journal"
)

// A message is one line of JSON between runner and guardian. The runner begins with
// Order, and Asked and Config with it, which the guardian answers with Result. Where it takes over from another, which
// was killed, that one's first answer comes with it as TakeOver. Namespace comes before
// the command starts, Command after that; each is answered with Error. After End, or when
// the command has ended or the runner is gone, the guardian returns the loan, answers with
// Result and ends.
type message struct {
	Order     *helper.Run    `json:"order,omitempty"`
	Asked     *journal.Entry `json:"asked,omitempty"` // the record that somebody asked
	Config    *config.Config `json:"config,omitempty"`
	TakeOver  *message       `json:"take_over,omitempty"`
	Namespace string         `json:"namespace,omitempty"`
	Command   *process       `json:"command,omitempty"`
	End       bool           `json:"end,omitempty"`
	Result    *helper.Result `json:"result,omitempty"`
	Lent      bool           `json:"lent,omitempty"`     // with the first Result
	Unlocked  string         `json:"unlocked,omitempty"` // with that: the id of the unlock for a system-wide command
	Error     string         `json:"error,omitempty"`
}

// receive returns the messages that come in; the channel is closed when no more will.
// To end it early, close the connection and read the channel until it is closed.
func receive(from io.Reader) <-chan message {
	messages := make(chan message)
	go func() {
		defer close(messages)
		for d := json.NewDecoder(from); ; {
			var m message
			if d.Decode(&m) != nil {
				return
			}
			messages <- m
		}
	}()
	return messages
}

func send(to io.Writer, m message) error { return json.NewEncoder(to).Encode(m) }

// socketPair returns the two ends of a socket: ours, and one to hand on.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	near, theirs := os.NewFile(uintptr(fds[0]), "guardian"), os.NewFile(uintptr(fds[1]), "runner")
	defer near.Close()
	if ours, err = net.FileConn(near); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
