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
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
	"immutray.org/helper/text"
)

// A Scanner finds writers. The zero Scanner looks at the system it runs on. It remembers
// from one scan to the next what keeps it waiting, and must not be copied.
type Scanner struct {
	Proc string // where procfs is mounted; empty means /proc
	Sys  string // where sysfs is mounted; empty means /sys
	// Hidden returns the st_dev of the subvolume that another mount hides at a protected
	// path, and whether there is one. It may be nil.
	Hidden func(path string) (device uint64, ok bool)

	visits visits
}

// Timeout is the longest that a scan takes, however much there is to look into: anybody can
// run hundreds of processes with a million descriptors each. Who is being looked into then is
// named. A machine with thousands of ordinary processes is done in a tenth of it. When all
// that is left hangs, a scan ends after some six seconds.
const Timeout = 12 * time.Second

// An IncompleteError says that a scan could not look everywhere. The writers that
// came with it are real; there may be more.
type IncompleteError struct {
	// Processes is how many processes could not be looked into, and are not among the
	// writers as [helper.WriterUnknown]. For anyone but root that is every process of
	// another user; kernel threads don't count.
	Processes int
	// Devices is how many loop devices and swap files have a file that could not
	// be told to lie on a protected path or not.
	Devices int
	// Err is a cause: the context's error for a scan that was cut short, else that
	// of the first process, else that of the first device.
	Err error
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("cannot inspect %d processes and %d devices: %v", e.Processes, e.Devices, text.Because(e.Err))
}

func (e *IncompleteError) Unwrap() error { return e.Err }

// Scan returns who holds a file on the protected paths open for writing, ordered by
// protected path, then PID, then path. A file that one process holds by several
// descriptors or mappings is one writer. A process that hangs is a
// [helper.WriterUnknown], on no path; so is one that could not be looked into for any
// other reason than that it belongs to another user.
//
// With an [*IncompleteError] the list is what could be seen; with any other error it
// is empty. Scan returns when [Timeout] or ctx has ended, whatever the kernel makes it
// wait for. A thread is left behind for each process or loop device that hangs, at most 64 by
// all scans of one Scanner.
func (s *Scanner) Scan(ctx context.Context, protected []string) ([]helper.Writer, error) {
	return s.scan(ctx, protected, (*process).look)
}

// Writing is Scan without those that only keep a mount busy, and can't change a file any
// more: they have mapped one for themselves (MAP_PRIVATE in mmap(2)) that they had opened for
// writing. To tell them from all the programs and libraries that are mapped takes nearly all
// of the time of a scan.
func (s *Scanner) Writing(ctx context.Context, protected []string) ([]helper.Writer, error) {
	return s.scan(ctx, protected, (*process).lookForWriting)
}

func (s *Scanner) scan(ctx context.Context, protected []string, look func(*process) error) ([]helper.Writer, error) {
	targets, err := newTargets(protected)
	if err != nil {
		return nil, err
	}
	for _, path := range protected {
		if s.Hidden == nil {
			break
		}
		if dev, ok := s.Hidden(path); ok {
			d := device{unix.Major(dev), unix.Minor(dev)}
			targets[d] = append(targets[d], path)
		}
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
	known := s.visits.hanging()
	sc := &scan{
		proc:     proc,
		sys:      cmp.Or(s.Sys, "/sys"),
		targets:  targets,
		look:     look,
		users:    users{names: make(map[uint32]string)},
		visits:   &s.visits,
		finished: make(chan struct{}),
	}
	queue := slices.Concat([]int{theKernel}, sc.loopDevices(), pids)
	sc.queue = slices.DeleteFunc(queue, func(pid int) bool { return slices.Contains(known, pid) })
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	sc.run(ctx)
	return sc.result(ctx)
}

// result returns what is known now: who hangs may still be looked into.
func (s *scan) result(ctx context.Context) ([]helper.Writer, error) {
	waiting := s.visits.waiting(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	found := slices.Clone(s.writers)
	e := &IncompleteError{Processes: s.unreadable, Devices: s.unplaced, Err: cmp.Or(s.denied, s.misplaced)}
	for _, who := range waiting {
		if who.pid <= theKernel {
			e.Devices++
			continue
		}
		found = append(found, who.writer(&s.users))
	}
	for _, pid := range s.queue {
		if pid <= theKernel {
			e.Devices++
		} else {
			e.Processes++
		}
	}
	slices.SortFunc(found, func(a, b helper.Writer) int {
		return cmp.Or(
			cmp.Compare(a.Protected, b.Protected),
			cmp.Compare(a.PID, b.PID),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Device, b.Device),
		)
	})
	if e.Processes == 0 && e.Devices == 0 {
		return found, nil
	}
	e.Err = cmp.Or(ctx.Err(), e.Err, errHang)
	return found, e
}
