package scoped

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/mount"
)

// A guard is the runner's end of a guardian.
type guard struct {
	conn    net.Conn
	answers <-chan message
	early   *helper.Result // of a loan that was returned before it was asked for
}

// errLate says that the guardian has returned the loan before the command could begin.
var errLate = errors.New("it could not begin in time")

// guardian starts a guardian and gives it the order. before is what the one said that
// was killed, if there was one.
func (r *Runner) guardian(run helper.Run, before *message) (*guard, error) {
	conn, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("cannot start a guardian: %w", helper.Because(err))
	}
	cmd := r.Guardian()
	cmd.ExtraFiles = []*os.File{theirs} // which makes it GuardianSocket
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Dir = "/"
	err = startIn(r.Mounts, cmd)
	theirs.Close()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot start a guardian: %w", helper.Because(err))
	}
	go func() { _ = cmd.Wait() }() // it says all that there is to say on the socket
	g := &guard{conn: conn, answers: receive(conn)}
	order := message{Order: &run, Config: &r.Config, TakeOver: before}
	if before == nil {
		order.Asked = &r.Asked
	}
	if err := send(conn, order); err != nil {
		g.leave()
		return nil, fmt.Errorf("cannot start a guardian: %w", helper.ErrNoGuardian)
	}
	return g, nil
}

// startIn starts a program in a mount namespace, "" for our own.
func startIn(namespace string, cmd *exec.Cmd) (err error) {
	if namespace == "" {
		return cmd.Start()
	}
	f, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer f.Close()
	mount.OnOwnThread(func() {
		if err = enterNamespace(f); err == nil {
			err = cmd.Start()
		}
	})
	return err
}

// begin waits for the loan. A signal that asks to end is answered by leaving: then the
// guardian returns what it may have lent.
func (g *guard) begin(signals <-chan os.Signal) (message, error) {
	for {
		select {
		case m, ok := <-g.answers:
			if !ok || m.Result == nil {
				g.leave()
				return m, fmt.Errorf("cannot run the command: %w", helper.ErrNoGuardian)
			}
			return m, nil
		case s := <-signals:
			if isRequestToEnd(s) {
				g.leave()
				return message{}, &InterruptedError{s.(syscall.Signal)}
			}
		}
	}
}

// show tells the guardian which namespace to close in the end, or what to watch.
func (g *guard) show(what message) error {
	_ = send(g.conn, what) // a failure shows below
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

// end asks for the loan to be returned. That a guardian is gone shows in its result.
func (g *guard) end() { _ = send(g.conn, message{End: true}) }

// result waits for the end of the loan.
func (g *guard) result() (*helper.Result, error) {
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
func (g *guard) leave() {
	g.conn.Close()
	go func() {
		for range g.answers {
		}
	}()
}

// replacements is how many guardians in a row may be killed before they have begun.
const replacements = 5

// takeBack has another guardian return what one that was killed had lent. begun is what
// that one said.
func (r *Runner) takeBack(run helper.Run, begun message) (result *helper.Result, err error) {
	done := make(chan struct{})
	// Not on the caller's thread, which may be in the command's mount namespace by now: a
	// guardian started in there would see what it has to lock as unlocked.
	go func() {
		defer close(done)
		err = helper.ErrNoGuardian
		for try := 0; try < replacements && errors.Is(err, helper.ErrNoGuardian); try++ {
			result, err = r.takeBackOnce(run, begun)
		}
	}()
	<-done
	return result, err
}

func (r *Runner) takeBackOnce(run helper.Run, begun message) (*helper.Result, error) {
	g, err := r.guardian(run, &begun)
	if err != nil {
		return nil, err
	}
	m, err := g.begin(nil)
	if err != nil {
		return nil, err
	}
	if !m.Lent {
		g.leave()
		return m.Result, m.Result.Err()
	}
	g.end()
	return g.result()
}

// A supervisor sees to it that there always is a guardian.
type supervisor struct {
	runner    *Runner
	run       helper.Run
	namespace string
	command   *process // nil when it could not be started
	guard     *guard
	begun     message       // what the first guardian said
	ending    chan struct{} // closed when the command has ended

	// Once done is closed:
	done   chan struct{}
	result *helper.Result
	err    error
}

// supervise waits for the result, and replaces a guardian that was killed.
func (s *supervisor) supervise() {
	defer close(s.done)
	_ = s.showCommand() // what is wrong the result tells
	for {
		ended := make(chan struct{})
		go func(g *guard) {
			select {
			case <-s.ending:
				g.end()
			case <-ended:
			}
		}(s.guard)
		s.result, s.err = s.guard.result()
		close(ended)
		if s.err == nil {
			return
		}
		s.err = helper.ErrNoGuardian
		for try := 0; try < replacements && errors.Is(s.err, helper.ErrNoGuardian); try++ {
			s.err = s.replace()
		}
		if s.err != nil {
			return
		}
	}
}

func (s *supervisor) replace() error {
	g, err := s.runner.guardian(s.run, &s.begun)
	if err != nil {
		return err
	}
	m, err := g.begin(nil)
	if err != nil {
		return err
	}
	err = m.Result.Err()
	if err == nil && s.namespace != "" {
		err = g.show(message{Namespace: s.namespace})
	}
	if err != nil {
		g.leave()
		return err
	}
	s.guard = g
	_ = s.showCommand() // what is wrong the result tells
	return nil
}

// showCommand has the guardian watch the command itself: we may be stopped when it ends.
func (s *supervisor) showCommand() error {
	if s.command == nil {
		return nil
	}
	return s.guard.show(message{Command: s.command})
}

// end returns the loan. A signal that asks to end cuts the waiting short, not the work
// of the guardian.
//
// The first signal that was typed is taken for the one that has ended the command: we may
// get to see that only now. Another one is for us.
func (s *supervisor) end(signals <-chan os.Signal) (*helper.Result, error) {
	close(s.ending)
	typed := false
	for {
		select {
		case <-s.done:
			return s.result, s.err
		case sig := <-signals:
			switch {
			case !isRequestToEnd(sig) || sig == unix.SIGHUP:
			case !typed && isTyped(sig):
				typed = true
			default:
				return nil, &InterruptedError{sig.(syscall.Signal)}
			}
		}
	}
}
