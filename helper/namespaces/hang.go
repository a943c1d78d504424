package namespaces

import (
	"context"
	"os"
	"sync/atomic"
	"time"
)

// A process that hangs in execve(2) makes everyone hang who reads its links in /proc
// (proc_ns_readlink in fs/proc/namespaces.c; begin_new_exec in fs/exec.c holds the lock
// that ptrace_may_access waits for since Linux 6.18). Any user can make such a process.

const (
	// minReaders is how many processes are looked at at once when nothing hangs, and
	// maxReaders how many can be, and how many threads may be left behind.
	minReaders = 2
	maxReaders = 32
	// quiet is how long there may be no answer before more readers begin.
	quiet = 20 * time.Millisecond
	// hangs is how long there may be none before those that are left count as hanging. It
	// must not be the whole machine that stands still: then the ticker stands still as well, and
	// half of the looks are enough.
	hangs = 2 * time.Second
	looks = int(hangs/quiet) / 2
)

// readEach reads of every process and calls take with what was read, on the caller's
// goroutine. It returns how many processes hang and were left behind.
func readEach[T any](ctx context.Context, pids []int, read func(pid int) T, take func(T)) (left int) {
	queue := make(chan int, len(pids))
	for _, pid := range pids {
		queue <- pid
	}
	close(queue)
	answers := make(chan T, len(pids)) // has room for all, so that no reader waits
	var over atomic.Bool
	defer over.Store(true)
	readers := 0
	begin := func(n int) {
		for range min(n, maxReaders-readers) {
			readers++
			go func() {
				for pid := range queue {
					if over.Load() {
						return
					}
					answers <- read(pid)
				}
			}()
		}
	}
	begin(minReaders)
	watch := time.NewTicker(quiet)
	defer watch.Stop()
	last, vainly := time.Now(), 0
	for left = len(pids); left > 0; {
		select {
		case answer := <-answers:
			left--
			last, vainly = time.Now(), 0
			take(answer)
		case now := <-watch.C:
			vainly++
			switch since := now.Sub(last); {
			case since >= hangs && vainly >= looks:
				return left
			case since >= quiet:
				begin(minReaders)
			}
		case <-ctx.Done():
			return left
		}
	}
	return 0
}

// within calls ask, which may hang, and returns its answer, or os.ErrDeadlineExceeded; then
// late gets the answer when there is one.
func within[T any](ask func() (T, error), late func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := ask()
		answers <- answer{value, err}
	}()
	watch := time.NewTicker(quiet)
	defer watch.Stop()
	for range int(hangs / quiet) { // a machine that stands still is looked at less often
		select {
		case a := <-answers:
			return a.value, a.err
		case <-watch.C:
		}
	}
	go func() {
		if a := <-answers; a.err == nil {
			late(a.value)
		}
	}()
	var none T
	return none, os.ErrDeadlineExceeded
}

// openTask opens a link of a task that may hang.
func openTask(link string) (*os.File, error) {
	return within(func() (*os.File, error) { return os.Open(link) }, func(f *os.File) { f.Close() })
}
