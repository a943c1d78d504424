package client

import (
	"io"
	"os"
	"os/exec"
	"time"

	"immutray.org/helper/text"
)

// readAfterEnd is how long the output of a child that has ended is still read: another process
// may keep the pipe open.
const readAfterEnd = time.Second

// A child is a pkexec or a helper that was started. A helper may live on when it has
// answered, to lock when the window ends; then its output is closed.
type child struct {
	cmd    *exec.Cmd
	out    *answer
	words  *text.Clip    // its standard error, to be read when it has ended
	silent chan struct{} // closed when its standard output is
	ended  chan struct{} // closed when it has ended
}

func start(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, out: newAnswer(), words: &text.Clip{Most: maxWords}, silent: make(chan struct{}), ended: make(chan struct{})}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = write, c.words
	cmd.WaitDelay = readAfterEnd
	err = cmd.Start()
	write.Close()
	if err != nil {
		read.Close()
		return nil, err
	}
	silent := c.silent
	go func() {
		defer close(silent)
		defer read.Close()
		_, _ = io.Copy(c.out, read) // what is missing then, the answer shows
	}()
	go func() {
		defer close(c.ended)
		_ = cmd.Wait() // its exit code says more
		late := time.NewTimer(readAfterEnd)
		defer late.Stop()
		select {
		case <-silent:
		case <-late.C:
		}
	}()
	return c, nil
}

// end returns the exit code and the words of a child that has ended, and neither of one
// that lives on.
func (c *child) end() (exitCode int, words string) {
	select {
	case <-c.ended:
		return c.cmd.ProcessState.ExitCode(), string(c.words.Data)
	default:
		return -1, ""
	}
}
