package writers

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// A visit is the time that a worker looks into one process.
type visit struct {
	scan  *scan
	pid   int
	dir   int // of the process in /proc; -1 for what the kernel holds
	began time.Time
	steps atomic.Int64 // what the kernel has answered so far
	tid   int          // the worker's thread

	// The watcher's: how many steps it knows of, what the thread had run when there was no
	// further one, since when it waits for the same answer, and how often it has been seen
	// waiting since.
	seen   int64
	ran    string
	since  time.Time
	vainly int
}

// step says that the kernel has answered once more.
func (v *visit) step() { v.steps.Add(1) }

// watch takes note of how far it has come. Only where that is no further the thread is
// looked at.
func (v *visit) watch(now time.Time) {
	v.vainly++
	if steps := v.steps.Load(); steps != v.seen {
		v.seen, v.since, v.vainly = steps, now, 0
	} else if ran := runtimeOf(v.tid); ran != v.ran || !asksTheKernel(v.tid) {
		v.ran, v.since, v.vainly = ran, now, 0
	}
}

// isHanging reports whether the kernel owes an answer for too long. It must not be the
// whole machine that stood still: then the watcher could not look either.
func (v *visit) isHanging(now time.Time) bool {
	return now.Sub(v.since) >= hangs && v.vainly >= int(hangs/watchEvery)/2
}

// isGone reports whether the process has ended, though who looks into it still waits: for
// a file of its on a file system that does not answer, say.
func (v *visit) isGone() bool {
	if v.pid <= theKernel {
		return false
	}
	_, err := readAt(v.dir, "comm", make([]byte, 64))
	return gone(err)
}

// isOfTheKernel reports whether a thread of the kernel is being looked into. Such a one holds
// no files, and is only slow because all is. It is told without waiting, unlike by stat
// (since Linux 6.8; task_state in fs/proc/array.c, where the name can't forge a line).
func (v *visit) isOfTheKernel() bool {
	if v.pid <= theKernel {
		return false
	}
	status, err := readAt(v.dir, "status", make([]byte, 4096))
	return err == nil && bytes.Contains(status, []byte("\nKthread:\t1\n"))
}

// runtimeOf returns what the kernel has noted of one of our threads: how long it has run,
// and how long it has waited for a processor (Documentation/scheduler/sched-stats.rst). A
// thread that waits for an answer does neither; on a slow machine one does, for seconds.
// Where it is not known it is always the same.
func runtimeOf(tid int) string {
	data, _ := readAt(unix.AT_FDCWD, "/proc/self/task/"+strconv.Itoa(tid)+"/schedstat", make([]byte, 128))
	return string(data)
}

// asksTheKernel reports whether one of our threads sleeps in a system call that a look into a
// process makes. Else it is on its way: it runs or is to run, waits until Go's scheduler lets
// it go on (futex(2)), or until a page of the program itself has been read from a slow disk,
// which is in no call (proc_pid_syscall in fs/proc/base.c). Where the kernel does not say, it
// asks.
func asksTheKernel(tid int) bool {
	data, err := readAt(unix.AT_FDCWD, "/proc/self/task/"+strconv.Itoa(tid)+"/syscall", make([]byte, 256))
	if err != nil {
		return true
	}
	call, _, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	number, err := strconv.Atoi(call) // else it is "running"
	return err == nil && number >= 0 && number != unix.SYS_FUTEX
}

// visits are those that last, of all scans of a Scanner.
type visits struct {
	mu  sync.Mutex
	all []*visit
}

// begin opens the directory of the process.
func (vs *visits) begin(s *scan, pid int) (*visit, error) {
	v := &visit{scan: s, pid: pid, dir: -1, began: time.Now(), tid: unix.Gettid()}
	v.since = v.began
	if pid > theKernel {
		dir, err := openAt(s.proc.root, strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return nil, err
		}
		v.dir = dir
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.all = append(vs.all, v)
	return v, nil
}

func (vs *visits) end(v *visit) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.all = slices.DeleteFunc(vs.all, func(other *visit) bool { return other == v })
	if v.dir >= 0 {
		unix.Close(v.dir)
	}
}

func (vs *visits) count() int {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return len(vs.all)
}

// countLoops returns how many of them are of loop devices.
func (vs *visits) countLoops() int {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	loops := 0
	for _, v := range vs.all {
		if v.pid < theKernel {
			loops++
		}
	}
	return loops
}

// hanging returns the PIDs of those that have hung since an earlier scan.
func (vs *visits) hanging() []int {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var pids []int
	for _, v := range vs.all {
		if v.isHanging(time.Now()) && !v.isGone() {
			pids = append(pids, v.pid)
		}
	}
	return pids
}

// slow returns how many visits of the scan make the next process wait, and takes note of
// how far they have come.
func (vs *visits) slow(s *scan, now time.Time) int {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	slow := 0
	for _, v := range vs.all {
		if v.scan != s {
			continue
		}
		v.watch(now)
		if now.Sub(v.since) >= quiet || now.Sub(v.began) >= long {
			slow++
		}
	}
	return slow
}

// hangingOf returns how many visits of the scan hang.
func (vs *visits) hangingOf(s *scan) int {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	hanging := 0
	for _, v := range vs.all {
		if v.scan == s && v.isHanging(time.Now()) {
			hanging++
		}
	}
	return hanging
}

// A suspect is a process that could not be looked into, by what can be seen of it without
// waiting.
type suspect struct {
	pid     int
	program string
	uid     uint32
	unit    string
}

// waiting returns what the scan still looks into, and what has hung since an earlier one.
func (vs *visits) waiting(s *scan) []suspect {
	vs.mu.Lock() // so that no directory is closed meanwhile
	defer vs.mu.Unlock()
	var all []suspect
	for _, v := range vs.all {
		if (v.scan == s || v.isHanging(time.Now())) && !v.isGone() && !v.isOfTheKernel() {
			all = append(all, suspectAt(v.dir, v.pid))
		}
	}
	return all
}

func suspectAt(dir, pid int) suspect {
	if pid <= theKernel {
		return suspect{pid: pid}
	}
	buf := make([]byte, maxLink)
	return suspect{pid: pid, program: ownName(dir, buf), uid: owner(dir), unit: unit(dir, buf)}
}

func (s suspect) writer(u *users) helper.Writer {
	return helper.Writer{
		Kind: helper.WriterUnknown,
		PID:  s.pid, Program: s.program, UID: s.uid, User: u.name(s.uid), Unit: s.unit,
	}
}

// ownName returns what the process calls itself: anything, up to 15 bytes.
func ownName(dir int, buf []byte) string {
	comm, err := readAt(dir, "comm", buf)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(comm), "\n")
}

func unit(dir int, buf []byte) string {
	data, err := readAt(dir, "cgroup", buf)
	if err != nil {
		return ""
	}
	return parseUnit(data)
}

// owner returns the effective user of a process, whom its directory belongs to, whatever
// else of it is hidden (task_dump_owner in fs/proc/base.c).
func owner(dir int) uint32 {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return 0
	}
	return st.Uid
}
