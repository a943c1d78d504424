package server

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"immutray.org/helper"
)

// patience is how long a reader may take for what we write. Nobody else waits for
// us meanwhile: the turn of the engine is given up by then.
const patience = 5 * time.Second

// say writes text, but never waits for a reader longer than patience. The goroutine
// of a write that hangs ends with the process.
func (d *desk) say(w io.Writer, text string) error {
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(w, text)
		written <- err
	}()
	late := time.NewTimer(d.patience)
	defer late.Stop()
	select {
	case err := <-written:
		return err
	case <-late.C:
		return errors.New("its reader has closed it")
	}
}

// answer writes the result, the last line, and returns the exit code.
func (d *desk) answer(r *helper.Result) int {
	if r.Outcome != helper.Done {
		text := "immutray-helper: error: " + r.Err().Error() + "\n"
		if r.Outcome == helper.Usage {
			text += usage
		}
		_ = d.say(d.stderr, text) // for whoever reads a log; the result says it too
	}
	line, err := json.Marshal(r)
	if err != nil {
		// Only a time beyond the year 9999 can't be written as JSON.
		_ = d.say(d.stderr, "immutray-helper: internal error: "+err.Error()+"\n")
		return helper.ExitFailed
	}
	// Who does not read it finds the exit code, and the same result in the state file.
	_ = d.say(d.stdout, string(line)+"\n")
	return r.Outcome.ExitCode()
}
