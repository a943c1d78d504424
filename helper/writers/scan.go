package writers

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"immutray.org/helper"
)

const (
	// minWorkers is how many processes are looked into at once when nothing hangs.
	minWorkers = 4
	// maxWorkers is how many can be, and how many threads can hang for one Scanner.
	maxWorkers = 64
	// quiet is how long one step at a process may take before the next process is
	// begun with, and long how long the whole of it may.
	quiet = 50 * time.Millisecond
	long  = 500 * time.Millisecond
	// hangs is how long one step may take before the process counts as hanging: longer than
	// the disk of a busy machine takes.
	hangs = 6 * time.Second
	// watchEvery is how often that is looked at.
	watchEvery = quiet / 2
)

// theKernel stands among the PIDs for the swap files, and the numbers below it for loop
// devices: what the kernel itself holds.
const theKernel = 0

// maxLoops is how many of the threads loop devices may keep waiting: the kernel asks the
// server of a backing file (loop_get_status in drivers/block/loop.c), which may be a user's
// own. What is left is for processes, which are to be named.
const maxLoops = 16

func ofLoop(number int) int { return theKernel - 1 - number }
func loopOf(pid int) int    { return theKernel - 1 - pid }

var errHang = errors.New("too many processes hang")

// A scan is one call of Scan: what all its workers share.
type scan struct {
	proc     *procfs
	sys      string
	targets  targets
	look     func(*process) error // finds what is looked for in one process
	users    users
	visits   *visits
	finished chan struct{} // closed when everything was looked into
	over     atomic.Bool   // the result is no longer wanted

	mu         sync.Mutex // guards what follows
	queue      []int      // PIDs that no worker looks into yet
	workers    int
	atWork     sync.WaitGroup
	writers    []helper.Writer
	unreadable int   // processes that could not be looked into
	unplaced   int   // devices that could not be placed
	denied     error // why no process, the first time
	misplaced  error // why no device, the first time
}

// run looks into everything in the queue. It returns when that is done, when everything
// that is left hangs, or when ctx ends.
func (s *scan) run(ctx context.Context) {
	allowed := maxWorkers - s.visits.count()
	s.hire(min(minWorkers, allowed))
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for s.isWorthwhile(allowed) {
		select {
		case <-s.finished:
			s.atWork.Wait()
			s.proc.close()
			return
		case <-ctx.Done():
		case now := <-watch.C:
			s.hire(min(minWorkers+s.visits.slow(s, now), allowed))
			continue
		}
		break
	}
	s.over.Store(true)
	go func() {
		s.atWork.Wait()
		s.proc.close()
	}()
}

// isWorthwhile reports whether there is a worker that does not hang, or can be one.
func (s *scan) isWorthwhile(allowed int) bool {
	hanging := s.visits.hangingOf(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers > hanging || len(s.queue) > 0 && s.workers < allowed
}

// hire starts workers, as far as there is work, so that there are as many as wanted.
func (s *scan) hire(wanted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range min(wanted-s.workers, len(s.queue)) {
		s.workers++
		s.atWork.Add(1)
		go func() {
			defer s.atWork.Done()
			newWorker(s).work()
		}()
	}
}

// next returns what to look into next. A worker who gets nothing goes.
func (s *scan) next() (pid int, ok bool) {
	full := s.visits.countLoops() >= maxLoops
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && !s.over.Load() {
		pid, s.queue = s.queue[0], s.queue[1:]
		if pid >= theKernel || !full {
			return pid, true
		}
		s.unplaced++
	}
	s.workers--
	if s.workers == 0 && len(s.queue) == 0 {
		close(s.finished)
	}
	return 0, false
}

// add takes what one process holds.
func (s *scan) add(found []helper.Writer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers = append(s.writers, found...)
	if err != nil {
		s.unreadable++
		s.denied = cmp.Or(s.denied, err)
	}
}

// isOrdinary reports whether an error in looking into a process only says that it is
// another user's. For root it never says that.
func isOrdinary(err error) bool {
	return errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0
}
