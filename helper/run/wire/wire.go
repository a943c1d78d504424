// Package wire is what the runner of "immutectl run" and its guardian say to each other.
package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/config"
)

const (
	// Guard is the helper's word for a guardian: its first argument. It is none of the
	// helper's verbs, because only root can use it.
	Guard = "guard"
	// Socket is the descriptor on which a guardian talks to its runner.
	Socket = 3
)

// A Message is one line of JSON between runner and guardian.
//
// Each side begins with Version, the guardian with nothing else. With it the runner sends
// Order, Parent and Config, and the guardian answers with Result. If the guardian takes over
// from another one, which was killed, TakeOver is that one's answer to the order. Namespace
// comes before the command starts, Command after that; each is answered with Error. After
// End, or when the command has ended or the runner is gone, the guardian returns the grant,
// answers with Result and ends.
type Message struct {
	Version   string         `json:"version,omitempty"`
	Order     *helper.Run    `json:"order,omitempty"`
	Parent    int            `json:"parent,omitempty"` // the process that has started the runner; 0 with TakeOver
	Config    *config.Config `json:"config,omitempty"`
	TakeOver  *Message       `json:"take_over,omitempty"`
	Namespace string         `json:"namespace,omitempty"`
	Command   *Process       `json:"command,omitempty"`
	End       bool           `json:"end,omitempty"`
	Result    *helper.Result `json:"result,omitempty"`
	Granted   bool           `json:"granted,omitempty"`  // with the first Result
	Unlocked  string         `json:"unlocked,omitempty"` // with that: the id of the unlock for a system-wide command
	Error     string         `json:"error,omitempty"`
}

// Receive returns the messages that come in; the channel is closed when no more will.
// To end it early, close the connection and read the channel until it is closed.
func Receive(from io.Reader) <-chan Message {
	messages := make(chan Message)
	go func() {
		defer close(messages)
		for d := json.NewDecoder(from); ; {
			var m Message
			if d.Decode(&m) != nil {
				return
			}
			messages <- m
		}
	}()
	return messages
}

// Send writes a message.
func Send(to io.Writer, m Message) error { return json.NewEncoder(to).Encode(m) }

// Pair returns the two ends of a socket: the runner's, and one for a guardian to inherit.
func Pair() (runner net.Conn, guardian *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	near, guardian := os.NewFile(uintptr(fds[0]), "guardian"), os.NewFile(uintptr(fds[1]), "runner")
	defer near.Close()
	if runner, err = net.FileConn(near); err != nil {
		guardian.Close()
		return nil, nil, err
	}
	return runner, guardian, nil
}

// Inherited returns the end of the socket that a guardian has inherited.
func Inherited() (net.Conn, error) {
	unix.CloseOnExec(Socket)
	f := os.NewFile(Socket, "runner")
	defer f.Close()
	return net.FileConn(f)
}
