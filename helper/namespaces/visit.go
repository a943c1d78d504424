package namespaces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// visitPatience is how long a visit may take. What is done there waits for nothing
	// but the kernel's own locks.
	visitPatience = 2 * time.Second
	// maxHung is how many threads are left behind in a namespace that does not let them
	// go; then nobody visits any more.
	maxHung = 3
)

// ErrHung says that a namespace could not be visited in time.
var ErrHung = errors.New("it did not answer in time")

// A Visitor enters namespaces, one after the other, on a thread that is used for nothing
// else. It is not safe for use by several goroutines at once, and must be closed.
type Visitor struct {
	proc int // /proc of the caller's namespace
	jobs chan func()
	hung int
}

// NewVisitor returns a Visitor.
func NewVisitor() (*Visitor, error) {
	proc, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/proc", Err: err}
	}
	return &Visitor{proc: proc}, nil
}

// Close ends the visitor's thread.
func (v *Visitor) Close() {
	if v.jobs != nil {
		close(v.jobs)
	}
	if v.hung == 0 { // else a thread may need it yet
		unix.Close(v.proc)
	}
}

// visit does work inside a namespace. Work that does not end in time is left behind; so it
// must share nothing with the caller but what it returns.
func visit[T any](ctx context.Context, v *Visitor, n *Namespace, subvolumes []*Subvolume, work func(*inside) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if v.hung >= maxHung {
		return none, ErrHung
	}
	if v.jobs == nil {
		v.jobs = make(chan func())
		go serve(v.jobs)
	}
	answers := make(chan answer, 1)
	fd := int(n.file.Fd())
	in := &inside{proc: v.proc, foreign: n.Foreign, subvolumes: subvolumes}
	v.jobs <- func() {
		var a answer
		if a.err = enter(fd); a.err == nil {
			a.value, a.err = work(in)
		}
		answers <- a
	}
	patience := time.NewTimer(visitPatience)
	defer patience.Stop()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-patience.C:
	}
	close(v.jobs)
	v.jobs = nil
	v.hung++
	return none, ErrHung
}

func enter(fd int) error {
	if err := unix.Setns(fd, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}

// serve does the jobs on a thread of its own, which ends with it. That is never the first
// of the process: the first would not end, and is what /proc/self shows.
func serve(jobs <-chan func()) {
	runtime.LockOSThread() // and never unlocked
	if unix.Gettid() == unix.Getpid() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			serve(jobs)
		}()
		<-done
		runtime.UnlockOSThread()
		return
	}
	// setns(2) refuses a thread that shares its root directory with others. Should this
	// fail, that does.
	_ = unix.Unshare(unix.CLONE_FS)
	for job := range jobs {
		job()
	}
}
