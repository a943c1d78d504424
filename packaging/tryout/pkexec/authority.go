// Package pkexec replaces pkexec and polkit in the practice system, which has no system bus,
// no polkit daemon and no passwords.
//
// [Main] is installed as /usr/bin/pkexec. It runs as the person and asks the [Authority],
// which runs as root, out of the person's reach. The authority decides by the installed policy
// files, as polkit does, and runs only one program, the helper. So no program in the practice
// system has to be setuid, and a person can do no more than the helper allows.
package pkexec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// policyDir is where polkit reads its actions.
const policyDir = "/usr/share/polkit-1/actions"

// A request is what the stand-in sends first, together with its standard input,
// output and error.
type request struct {
	Program   string   `json:"program"`
	Arguments []string `json:"arguments"`
}

// A reply either asks for the person's confirmation or ends the conversation.
type reply struct {
	Ask    *action `json:"ask,omitempty"`
	Denied string  `json:"denied,omitempty"`
	Exit   int     `json:"exit"`
}

// A confirmation is the stand-in's answer to a reply that asks.
type confirmation struct {
	Confirmed bool `json:"confirmed"`
}

// An Authority answers the stand-in.
type Authority struct {
	// Program is the only one it runs.
	Program string
	// Policies is the directory of the policy files; "" is polkit's.
	Policies string

	listener *net.UnixListener
}

// Listen makes the authority reachable at a socket that everyone may connect to.
func (a *Authority) Listen(socket string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return err
	}
	a.listener = l
	return os.Chmod(socket, 0o666)
}

// Serve answers until Close.
func (a *Authority) Serve() error {
	for {
		conn, err := a.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if err := a.converse(conn); err != nil {
				fmt.Fprintln(os.Stderr, "practice: cannot answer pkexec:", err)
			}
		}()
	}
}

// Close ends Serve.
func (a *Authority) Close() error { return a.listener.Close() }

func (a *Authority) converse(conn *net.UnixConn) error {
	uid, err := peer(conn)
	if err != nil {
		return err
	}
	var req request
	stdio, err := receive(conn, &req)
	defer closeAll(stdio)
	if err != nil {
		return err
	}
	answers := json.NewEncoder(conn)
	refusal, err := a.authorize(req, func(ask *action) (bool, error) {
		if err := answers.Encode(reply{Ask: ask}); err != nil {
			return false, err
		}
		var answer confirmation
		err := json.NewDecoder(conn).Decode(&answer)
		return answer.Confirmed, err
	})
	if errors.Is(err, io.EOF) {
		return nil // the stand-in was ended while it asked
	}
	if err != nil {
		return err
	}
	if refusal != "" {
		return answers.Encode(reply{Denied: refusal})
	}
	code, err := runAsRoot(req, uid, stdio)
	if err != nil {
		return answers.Encode(reply{Denied: err.Error()})
	}
	return answers.Encode(reply{Exit: code})
}

// Why a request is refused, in pkexec's words.
const (
	dismissed     = "Request dismissed"
	notAuthorized = "Not authorized"
)

// authorize returns "" when the request may go on, else why not.
func (a *Authority) authorize(req request, confirm func(*action) (bool, error)) (refusal string, err error) {
	if req.Program != a.Program || len(req.Arguments) == 0 {
		return notAuthorized, nil
	}
	policies := a.Policies
	if policies == "" {
		policies = policyDir
	}
	found, err := findAction(policies, req.Program, req.Arguments[0])
	if err != nil {
		return "", err
	}
	switch {
	case found == nil || found.Active == "no":
		return notAuthorized, nil
	case found.Active == "yes":
		return "", nil
	}
	confirmed, err := confirm(found)
	if err != nil {
		return "", err
	}
	if !confirmed {
		return dismissed, nil
	}
	return "", nil
}

// leaves is how long a program may take to end after it has closed its output. A helper that
// takes longer stays to end a window. The real pkexec becomes the program (execve(2)), and
// its caller, which has read the answer, does not wait for that helper.
const leaves = time.Second

// runAsRoot runs the program with the environment that pkexec would give it
// (pkexec(1), SECURITY NOTES), and returns when it has ended, or has said all and stays.
func runAsRoot(req request, uid uint32, stdio []*os.File) (exitCode int, err error) {
	cmd := exec.Command(req.Program, req.Arguments...)
	output, input, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer output.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdio[0], input, stdio[2]
	cmd.Dir = "/root"
	cmd.Env = []string{
		"SHELL=/bin/sh",
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin:/root/bin",
		"LOGNAME=root", "USER=root", "HOME=/root",
		"PKEXEC_UID=" + strconv.FormatUint(uint64(uid), 10),
	}
	err = cmd.Start()
	input.Close()
	if err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	_, _ = io.Copy(stdio[1], output) // the caller need not read it
	select {
	case err = <-ended:
	case <-time.After(leaves):
		return 0, nil
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	case errors.As(err, &exit):
		return 127, nil
	}
	return 0, err
}

// receive reads the request and the three descriptors that come with it.
func receive(conn *net.UnixConn, req *request) ([]*os.File, error) {
	message := make([]byte, 64<<10)
	control := make([]byte, unix.CmsgSpace(3*4))
	n, controlLength, _, _, err := conn.ReadMsgUnix(message, control)
	if err != nil {
		return nil, err
	}
	files, err := filesOf(control[:controlLength])
	if err != nil {
		return files, err
	}
	if len(files) != 3 {
		return files, fmt.Errorf("%d descriptors came with the request, not 3", len(files))
	}
	return files, json.Unmarshal(message[:n], req)
}

func filesOf(control []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "stdio"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// peer returns the user at the other end, as the kernel knows it.
func peer(conn *net.UnixConn) (uint32, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var credentials *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		credentials, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return credentials.Uid, nil
}
