package tour

import (
	"fmt"
	"io"
	"os"
	"os/exec"
)

// writtenFile is what the tour's writers hold open.
const writtenFile = "/etc/hosts"

// writerProgram opens what it is given, and ends when its input does.
const writerProgram = "/usr/bin/tee"

// A writer is a program that has a file open for writing, and writes nothing.
type writer struct {
	cmd   *exec.Cmd
	input io.Closer
}

// startWriter starts a writer, by these words in front of it.
func startWriter(before ...string) (*writer, error) {
	words := append(before, writerProgram, "--append", writtenFile)
	w := &writer{cmd: exec.Command(words[0], words[1:]...)}
	var err error
	if w.input, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return w, w.cmd.Start()
}

// hasOpened reports whether the writer has the file open.
func (w *writer) hasOpened() (bool, error) {
	dir := fmt.Sprintf("/proc/%d/fd", w.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if to, _ := os.Readlink(dir + "/" + e.Name()); to == writtenFile {
			return true, nil
		}
	}
	return false, err
}

// end ends the writer and returns when it is gone.
func (w *writer) end() error {
	w.input.Close()
	return w.cmd.Wait()
}

// endWriter ends the writer that runs, if one does.
func (t *Tour) endWriter() error {
	if t.writer == nil {
		return nil
	}
	w := t.writer
	t.writer = nil
	return w.end()
}
