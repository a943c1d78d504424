package client

import (
	"bytes"
	"strings"
	"sync"

	"immutray.org/helper"
)

// handshakeName is the handshake without its version.
const handshakeName = "immutray-helper "

// maxWords is how much of the child's standard error is kept.
const maxWords = 16 << 10

// clipped keeps the beginning of what is written to it and swallows the rest, so
// that whoever writes is not held up.
type clipped struct {
	max int // 0 is maxWords
	buf bytes.Buffer
	cut bool
}

func (c *clipped) Write(data []byte) (int, error) {
	limit := c.max
	if limit == 0 {
		limit = maxWords
	}
	keep := min(len(data), limit-c.buf.Len())
	c.cut = c.cut || keep < len(data)
	c.buf.Write(data[:keep])
	return len(data), nil
}

func (c *clipped) String() string { return c.buf.String() }

// An answer is the child's standard output as it comes in.
type answer struct {
	begun chan struct{} // closed when the handshake has been read

	mu   sync.Mutex
	text clipped
}

func newAnswer() *answer {
	return &answer{begun: make(chan struct{}), text: clipped{max: helper.MaxAnswer}}
}

func (a *answer) Write(data []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := a.text.Write(data)
	if !a.hasBegun() && bytes.HasPrefix(a.text.buf.Bytes(), []byte(helper.Handshake+"\n")) {
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
	first, rest, ok := strings.Cut(a.text.String(), "\n")
	if !ok || a.text.cut || !strings.HasSuffix(rest, "\n") {
		return first, ""
	}
	rest = strings.TrimSuffix(rest, "\n")
	return first, rest[strings.LastIndexByte(rest, '\n')+1:]
}
