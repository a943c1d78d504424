package server

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"immutray.org/helper"
)

// writeTimeout is how long a reader may take for what the server writes. No request waits
// for this one meanwhile: the engine has given up its turn.
const writeTimeout = 5 * time.Second

// say writes text, and gives up a reader that takes longer than writeTimeout. The goroutine
// of a write that hangs ends with the process.
func (s *server) say(w io.Writer, text string) error {
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(w, text)
		written <- err
	}()
	late := time.NewTimer(s.writeTimeout)
	defer late.Stop()
	select {
	case err := <-written:
		return err
	case <-late.C:
		return errors.New("its reader takes too long")
	}
}

// answer writes the result, the last line, and returns the exit code.
func (s *server) answer(r *helper.Result) int {
	if r.Outcome != helper.Done {
		text := "immutray-helper: error: " + r.Err().Error() + "\n"
		if r.Outcome == helper.Usage {
			text += usage
		}
		_ = s.say(s.stderr, text) // a log may have it; the result says it too
	}
	line, err := json.Marshal(r)
	if err != nil {
		// Only a time beyond the year 9999 can't be written as JSON.
		_ = s.say(s.stderr, "immutray-helper: internal error: "+err.Error()+"\n")
		return helper.ExitFailed
	}
	// A caller that does not read it has the exit code, and the same result is in the state
	// file.
	_ = s.say(s.stdout, string(line)+"\n")
	return r.Outcome.ExitCode()
}

// notices are sentences for the next result, each once.
type notices []string

func (n *notices) add(sentence string) {
	if !slices.Contains(*n, sentence) {
		*n = append(*n, sentence)
	}
}

func (n *notices) take() []string {
	sentences := *n
	*n = nil
	return sentences
}
