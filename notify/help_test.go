package notify

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// checkNoGoroutines fails the test unless every goroutine that this package started,
// or had started by godbus, has ended, or ends soon.
func checkNoGoroutines(t *testing.T) {
	t.Helper()
	giveUp := time.Now().Add(30 * time.Second)
	for {
		left := ourGoroutines()
		if len(left) == 0 {
			return
		}
		if time.Now().After(giveUp) {
			t.Fatalf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
		}
		runtime.Gosched()
	}
}

func ourGoroutines() []string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var ours []string
	for _, g := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(g, "created by immutray.org/notify.(*") ||
			// what godbus starts for each call, to end it with its context
			strings.Contains(g, "created by github.com/godbus/dbus/v5.(*Conn).send ") {
			ours = append(ours, g)
		}
	}
	return ours
}

// A manualTimeout is the time that a daemon has for an answer, which runs out when the
// test says so.
type manualTimeout struct {
	mu   sync.Mutex
	open []*bounded
}

// bound is for Options.
func (p *manualTimeout) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	b := &bounded{Context: ctx, done: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { b.end(ctx.Err()) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, b)
	return b, func() {
		stop()
		b.end(context.Canceled)
	}
}

// runOut ends the time of every call that is waiting now.
func (p *manualTimeout) runOut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.open {
		b.end(context.DeadlineExceeded)
	}
	p.open = nil
}

// bounded is a context whose deadline passes when the test says so.
type bounded struct {
	context.Context
	done chan struct{}
	mu   sync.Mutex
	err  error
}

func (b *bounded) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		close(b.done)
	}
}

func (b *bounded) Done() <-chan struct{} { return b.done }

func (b *bounded) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
