package run

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"

	"immutray.org/helper"
	"immutray.org/helper/client"
	"immutray.org/helper/run/namespace"
	"immutray.org/helper/run/wire"
	"immutray.org/helper/text"
)

// A guardianProcess is the runner's end of a guardian: see package guardian for the other.
type guardianProcess struct {
	conn    net.Conn
	answers <-chan wire.Message
	exited  <-chan int     // has the exit code when the process has ended
	early   *helper.Result // of a grant that has ended before it was asked to
}

// errLate says that the grant has ended before the command could begin.
var errLate = errors.New("it did not start in time")

// guardian starts a guardian and gives it the order. before is what the killed one said, if
// there was one.
func (r *Runner) guardian(order helper.Run, before *wire.Message) (*guardianProcess, error) {
	conn, theirs, err := wire.Pair()
	if err != nil {
		return nil, fmt.Errorf("cannot start a guardian: %w", text.Because(err))
	}
	cmd := r.Guardian()
	cmd.ExtraFiles = []*os.File{theirs} // which makes it wire.Socket
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Dir = "/"
	err = startIn(r.Mounts, cmd)
	theirs.Close()
	if err != nil {
		conn.Close()
		return nil, client.HelperError(err)
	}
	exited := make(chan int, 1)
	go func() {
		_ = cmd.Wait() // the exit code says it
		exited <- cmd.ProcessState.ExitCode()
	}()
	g := &guardianProcess{conn: conn, answers: wire.Receive(conn), exited: exited}
	first := wire.Message{Version: helper.Handshake, Order: &order, Config: &r.Config, TakeOver: before}
	if before == nil {
		first.Parent = os.Getppid()
	}
	// A failure shows in begin, which knows why.
	_ = wire.Send(conn, first)
	return g, nil
}

// startIn starts a program in a mount namespace, "" for that of this process.
func startIn(mounts string, cmd *exec.Cmd) error {
	if mounts == "" {
		return cmd.Start()
	}
	// The program is the one that is found in here: the other namespace may not have it.
	program, err := os.Open(cmd.Path)
	if err != nil {
		return err
	}
	defer program.Close()
	cmd.Path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), program.Fd())
	return namespace.In(mounts, cmd.Start)
}

// begin waits until the grant has begun. A signal that asks to end is answered by leaving:
// then the guardian ends a grant that it may have begun.
func (g *guardianProcess) begin(signals <-chan os.Signal) (wire.Message, error) {
	for greeted := false; ; {
		select {
		case m, ok := <-g.answers:
			switch {
			case !greeted && ok && m.Version == helper.Handshake:
				greeted = true
				continue
			case !greeted && (ok || g.exitCode() == helper.ExitUsage):
				g.leave()
				return m, &client.AuthorizationError{Kind: client.OtherVersion, Detail: m.Version}
			case !ok || m.Result == nil:
				g.leave()
				return m, fmt.Errorf("cannot run the command: %w", helper.ErrNoGuardian)
			}
			return m, nil
		case s := <-signals:
			if isRequestToEnd(s) {
				g.leave()
				return wire.Message{}, &InterruptedError{s.(syscall.Signal)}
			}
		}
	}
}

// exitCode waits for the end of a guardian that has closed its end of the socket.
func (g *guardianProcess) exitCode() int { return <-g.exited }

// show says to the guardian which namespace to close in the end, or what to watch.
func (g *guardianProcess) show(what wire.Message) error {
	_ = wire.Send(g.conn, what) // a failure shows below
	m, ok := <-g.answers
	switch {
	case !ok:
		return helper.ErrNoGuardian
	case m.Result != nil:
		g.early = m.Result
		return errLate
	case m.Error != "":
		return errors.New(m.Error)
	}
	return nil
}

// end asks for the end of the grant. That a guardian is gone shows in its result.
func (g *guardianProcess) end() { _ = wire.Send(g.conn, wire.Message{End: true}) }

// result waits for the end of the grant.
func (g *guardianProcess) result() (*helper.Result, error) {
	defer g.leave()
	if g.early != nil {
		return g.early, nil
	}
	if m, ok := <-g.answers; ok && m.Result != nil {
		return m.Result, nil
	}
	return nil, helper.ErrNoGuardian
}

// leave ends the conversation.
func (g *guardianProcess) leave() {
	g.conn.Close()
	go func() {
		for range g.answers {
		}
	}()
}
