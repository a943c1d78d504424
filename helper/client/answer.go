package client

import (
	"bytes"
	"strings"
	"sync"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// handshakeName is the handshake without its version.
const handshakeName = "immutray-helper "

// maxWords is how much of the child's standard error is kept.
const maxWords = 16 << 10

// An answer is the child's standard output as it comes in.
type answer struct {
	begun chan struct{} // closed when the handshake has been read

	mu   sync.Mutex
	clip text.Clip
}

func newAnswer() *answer {
	return &answer{begun: make(chan struct{}), clip: text.Clip{Most: helper.MaxAnswer}}
}

func (a *answer) Write(data []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := a.clip.Write(data)
	if !a.hasBegun() && bytes.HasPrefix(a.clip.Data, []byte(helper.Handshake+"\n")) {
		close(a.begun)
	}
	return n, err
}

func (a *answer) hasBegun() bool {
	select {
	case <-a.begun:
		return true
	default:
		return false
	}
}

// isComplete reports whether the answer ends with a whole line after the first.
func (a *answer) isComplete() bool {
	_, last := a.lines()
	return last != ""
}

// lines returns the first line and the last, which is empty when there is only one
// or when it is not complete.
func (a *answer) lines() (first, last string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first, rest, ok := strings.Cut(string(a.clip.Data), "\n")
	if !ok || a.clip.Cut || !strings.HasSuffix(rest, "\n") {
		return first, ""
	}
	rest = strings.TrimSuffix(rest, "\n")
	return first, rest[strings.LastIndexByte(rest, '\n')+1:]
}
