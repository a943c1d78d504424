package run

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/run/wire"
)

// replacements is how many guardians in a row may be killed before they have begun.
const replacements = 5

// takeBack has another guardian end the grant of one that was killed. begun is what that
// one said.
func (r *Runner) takeBack(order helper.Run, begun wire.Message) (result *helper.Result, err error) {
	done := make(chan struct{})
	// Not on the caller's thread, which may be in the command's mount namespace by now: to a
	// guardian that is started in there, the locked system looks unlocked.
	go func() {
		defer close(done)
		err = helper.ErrNoGuardian
		for try := 0; try < replacements && errors.Is(err, helper.ErrNoGuardian); try++ {
			result, err = r.takeBackOnce(order, begun)
		}
	}()
	<-done
	return result, err
}

func (r *Runner) takeBackOnce(order helper.Run, begun wire.Message) (*helper.Result, error) {
	g, err := r.guardian(order, &begun)
	if err != nil {
		return nil, err
	}
	m, err := g.begin(nil)
	if err != nil {
		return nil, err
	}
	if !m.Granted {
		g.leave()
		return m.Result, m.Result.Err()
	}
	g.end()
	return g.result()
}

// guarded is a command that always has a guardian.
type guarded struct {
	runner    *Runner
	order     helper.Run
	namespace string
	command   *wire.Process // nil when it could not be started
	guardian  *guardianProcess
	begun     wire.Message  // what the first guardian said
	ending    chan struct{} // closed when the command has ended

	// Once done is closed:
	done   chan struct{}
	result *helper.Result
	err    error
}

// keep waits for the result, and replaces a guardian that was killed.
func (c *guarded) keep() {
	defer close(c.done)
	_ = c.showCommand() // what is wrong, the result says
	for {
		ended := make(chan struct{})
		go func(g *guardianProcess) {
			select {
			case <-c.ending:
				g.end()
			case <-ended:
			}
		}(c.guardian)
		c.result, c.err = c.guardian.result()
		close(ended)
		if c.err == nil {
			return
		}
		c.err = helper.ErrNoGuardian
		for try := 0; try < replacements && errors.Is(c.err, helper.ErrNoGuardian); try++ {
			c.err = c.replace()
		}
		if c.err != nil {
			return
		}
	}
}

func (c *guarded) replace() error {
	g, err := c.runner.guardian(c.order, &c.begun)
	if err != nil {
		return err
	}
	m, err := g.begin(nil)
	if err != nil {
		return err
	}
	err = m.Result.Err()
	if err == nil && c.namespace != "" {
		err = g.show(wire.Message{Namespace: c.namespace})
	}
	if err != nil {
		g.leave()
		return err
	}
	c.guardian = g
	_ = c.showCommand() // what is wrong, the result says
	return nil
}

// showCommand has the guardian watch the command itself: the runner may be stopped when it
// ends.
func (c *guarded) showCommand() error {
	if c.command == nil {
		return nil
	}
	return c.guardian.show(wire.Message{Command: c.command})
}

// end ends the grant. A signal that asks to end cuts the waiting short, not the work of the
// guardian.
//
// The first signal that was typed is taken for the one that has ended the command: the
// runner may see it only now. Another one is for the runner.
func (c *guarded) end(signals <-chan os.Signal) (*helper.Result, error) {
	close(c.ending)
	typed := false
	for {
		select {
		case <-c.done:
			return c.result, c.err
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
