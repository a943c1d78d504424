// Package writers finds what keeps a protected path from being locked: processes
// with a file there open for writing or mapped from such a file, loop devices whose
// backing file is there, and active swap files.
//
// The kernel only says that a mount is busy (EBUSY from mount_setattr); this package
// says who. It also finds writers that reach a protected path through another mount
// or from another mount namespace, which the kernel does not count against the
// mount, and which a read-only property would hurt all the same.
//
// A file belongs to the protected path whose stat st_dev it has: on btrfs that is the
// subvolume's own anonymous device, the same through every mount and in every mount
// namespace, and not the major:minor of mountinfo, which is the superblock's.
//
// Some writers have neither a descriptor nor a mapping to be found by: a file on its
// way through a unix socket or registered with io_uring, a file that the kernel's NFS
// server holds, and what is written through an overlay mount, whose files carry the
// overlay's device. So an empty list does not prove that the lock will succeed.
package writers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"immutray.org/helper"
)

// A Scanner finds writers. The zero Scanner looks at the system it runs on.
type Scanner struct {
	Proc string // where procfs is mounted; empty means /proc
	Sys  string // where sysfs is mounted; empty means /sys
}

// An IncompleteError says that a scan could not look everywhere. The writers that
// came with it are real; there may be more.
type IncompleteError struct {
	// Processes is how many processes could not be looked into. For anyone but
	// root that is every process of another user; kernel threads don't count.
	Processes int
	// Devices is how many loop devices and swap files have a file that could not
	// be told to lie on a protected path or not.
	Devices int
	// Err is a cause: the context's error for a scan that was cut short, else that
	// of the first process, else that of the first device.
	Err error
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("cannot look into %d processes and %d devices: %v", e.Processes, e.Devices, e.Err)
}

func (e *IncompleteError) Unwrap() error { return e.Err }

// Scan returns who holds a file on the protected paths open for writing, ordered by
// protected path, then PID, then path. A file that one process holds by several
// descriptors or mappings is one writer.
//
// With an [*IncompleteError] the list is what could be seen; with any other error it
// is empty. Scan returns when ctx ends even if the kernel lets it wait for a process
// or device that hangs, so ctx should have a deadline.
func (s *Scanner) Scan(ctx context.Context, protected []string) ([]helper.Writer, error) {
	targets, err := newTargets(protected)
	if err != nil {
		return nil, err
	}
	proc, err := openProcfs(cmp.Or(s.Proc, "/proc"))
	if err != nil {
		return nil, err
	}
	pids, err := proc.pids()
	if err != nil {
		proc.close()
		return nil, err
	}
	sc := &scan{
		proc:    proc,
		sys:     cmp.Or(s.Sys, "/sys"),
		targets: targets,
		users:   users{names: make(map[uint32]string)},
		pending: len(pids),
		// The devices count as one until they are looked at.
		unknown: 1,
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer proc.close()
		sc.run(ctx, pids)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
	}
	return sc.result(ctx)
}

// A scan is one call of Scan: what all its workers share.
type scan struct {
	proc    *procfs
	sys     string
	targets targets
	users   users

	mu         sync.Mutex // guards what follows
	writers    []helper.Writer
	pending    int   // processes not finished yet
	unreadable int   // processes that could not be looked into
	unknown    int   // devices that could not be placed
	denied     error // why no process, the first time
	misplaced  error // why no device, the first time
}

// workers is how many processes are looked into at once. More than the machine has
// cores, because one of them may wait long for a process that hangs.
const workers = 4

func (s *scan) run(ctx context.Context, pids []int) {
	queue := make(chan int)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		s.devices()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unknown--
	}()
	for range min(workers, len(pids)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			w := newWorker(s)
			for pid := range queue {
				found, err := w.process(pid)
				s.add(found, err)
			}
		}()
	}
	for _, pid := range pids {
		if ctx.Err() != nil {
			break
		}
		select {
		case queue <- pid:
		case <-ctx.Done():
		}
	}
	close(queue)
	wg.Wait()
}

// add takes what one process holds.
func (s *scan) add(found []helper.Writer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	s.writers = append(s.writers, found...)
	if err != nil {
		s.unreadable++
		s.denied = cmp.Or(s.denied, err)
	}
}

// result returns what is known now: workers that hang may still be at work.
func (s *scan) result(ctx context.Context) ([]helper.Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := slices.Clone(s.writers)
	slices.SortFunc(found, func(a, b helper.Writer) int {
		return cmp.Or(
			cmp.Compare(a.Protected, b.Protected),
			cmp.Compare(a.PID, b.PID),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Device, b.Device),
		)
	})
	e := &IncompleteError{Processes: s.unreadable + s.pending, Devices: s.unknown, Err: cmp.Or(s.denied, s.misplaced)}
	if e.Processes == 0 && e.Devices == 0 {
		return found, nil
	}
	if err := ctx.Err(); err != nil {
		e.Err = err
	}
	return found, e
}
