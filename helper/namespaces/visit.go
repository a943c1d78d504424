package namespaces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
)

const (
	// visitTimeout is how long a visit may take. What is done there waits for nothing
	// but the kernel's own locks.
	visitTimeout = 2 * time.Second
	// maxHung is how many threads are left behind in namespaces that do not let them go;
	// then no other of that kind is visited any more, foreign or not.
	maxHung = 3
)

// ErrHung says that a namespace could not be visited in time.
var ErrHung = errors.New("it did not answer in time")

// A Visitor enters namespaces, one after the other, on a thread that is used for nothing
// else. It is not safe for use by several goroutines at once, and must be closed.
type Visitor struct {
	proc       int // /proc of the caller's namespace
	subvolumes []*Subvolume
	hung       map[bool]int // threads left behind in namespaces, by [Namespace.Foreign]
}

// NewVisitor returns a Visitor that looks for mounts of subvolumes. They must be closed after
// it.
func NewVisitor(subvolumes ...*Subvolume) (*Visitor, error) {
	proc, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/proc", Err: err}
	}
	return &Visitor{proc: proc, subvolumes: subvolumes, hung: map[bool]int{}}, nil
}

// Close releases what the visitor has open.
func (v *Visitor) Close() {
	if len(v.hung) == 0 { // else a thread may need it yet
		unix.Close(v.proc)
	}
}

// An answer is what came of one visit.
type answer[T any] struct {
	value T
	err   error
}

// visit does work inside each of the namespaces, and returns the answers in their order.
// Work that does not end in time is left behind; so it must share nothing with the caller
// but what it returns.
//
// One thread does all of it, without a wait for each visit: to wake another thread
// for each costs more than the visit.
func visit[T any](ctx context.Context, v *Visitor, all []*Namespace, work func(in *inside, i int) (T, error)) []answer[T] {
	var answers []answer[T]
	for len(answers) < len(all) {
		done := len(answers)
		if v.hung[all[done].Foreign] >= maxHung {
			answers = append(answers, answer[T]{err: ErrHung})
			continue
		}
		received, hung := tour(ctx, v, all[done:], func(in *inside, i int) (T, error) { return work(in, done+i) })
		answers = append(answers, received...)
		if hung {
			v.hung[all[len(answers)].Foreign]++
			answers = append(answers, answer[T]{err: ErrHung})
		}
	}
	return answers
}

// tour visits the namespaces up to the first that hangs.
func tour[T any](ctx context.Context, v *Visitor, all []*Namespace, work func(*inside, int) (T, error)) (answers []answer[T], hung bool) {
	sent := make(chan answer[T], len(all)) // has room for all, so that no thread waits
	done := make(chan struct{})
	over := new(atomic.Bool)
	defer over.Store(true)
	go mount.OnOwnThread(func() {
		defer close(done)
		// setns(2) refuses a thread that shares its root directory with others. Should this
		// fail, that does.
		_ = unix.Unshare(unix.CLONE_FS)
		for i, n := range all {
			if over.Load() {
				return
			}
			var a answer[T]
			if a.err = ctx.Err(); a.err == nil {
				a.err = n.enter()
			}
			if a.err == nil {
				a.value, a.err = work(&inside{v.proc, n.Foreign, v.subvolumes, over}, i)
			}
			sent <- a
		}
	})
	const looks = 20 // a machine that stands still is looked at less often
	watch := time.NewTicker(visitTimeout / looks)
	defer watch.Stop()
	for seen, vainly := 0, 0; ; {
		select {
		case <-done:
		case <-watch.C:
			vainly++
			if len(sent) > seen {
				seen, vainly = len(sent), 0
			}
			if vainly < looks {
				continue
			}
		}
		for range len(sent) {
			answers = append(answers, <-sent)
		}
		return answers, len(answers) < len(all)
	}
}

func (n *Namespace) enter() error {
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}
