package writers

import (
	"bufio"
	"errors"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"immutray.org/helper"
)

// A worker looks into one process after the other, with the same buffers.
type worker struct {
	scan  *scan
	visit *visit        // the one that lasts
	small []byte        // for links and short files
	lines *bufio.Reader // for maps
}

// maxLink is more than the kernel ever gives as the target of a link in /proc: a
// page (do_proc_readlink in fs/proc/base.c).
const maxLink = 64 << 10

func newWorker(s *scan) *worker {
	return &worker{
		scan:  s,
		small: make([]byte, maxLink),
		lines: bufio.NewReaderSize(nil, maxMapsLine),
	}
}

// work looks into what is in the queue until there is nothing left.
func (w *worker) work() {
	// One thread, so that it can be told whether it runs or waits.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		pid, ok := w.scan.next()
		if !ok {
			return
		}
		visit, err := w.scan.visits.begin(w.scan, pid)
		if err != nil {
			w.scan.add(nil, unlessGone(err))
			continue
		}
		w.visit = visit
		switch {
		case pid == theKernel:
			w.scan.swapFiles()
		case pid < theKernel:
			w.scan.loopDevice("loop" + strconv.Itoa(loopOf(pid)))
		default:
			w.scan.add(w.process())
		}
		w.scan.visits.end(visit)
	}
}

// A process is one process that is being looked into.
type process struct {
	*worker
	pid   int
	dir   int // its directory in /proc
	seen  map[file]bool
	found []helper.Writer
}

// process returns what a process holds, nothing when it is gone. An error says that
// it could not be looked into.
func (w *worker) process() ([]helper.Writer, error) {
	p := &process{worker: w, pid: w.visit.pid, dir: w.visit.dir}
	err := p.scan.look(p)
	if len(p.found) > 0 {
		p.identify()
	}
	switch {
	case err == nil, errors.Is(err, errOver), p.isKernelThread():
		return p.found, nil
	case isOrdinary(err):
		return p.found, err
	}
	return append(p.found, suspectAt(p.dir, p.pid).writer(&p.scan.users)), nil
}

// errOver ends a visit when its result is not used any more.
var errOver = errors.New("the scan is over")

// step is to be called after each answer of the kernel, where there may be many.
func (p *process) step() error {
	p.visit.step()
	if p.scan.over.Load() {
		return errOver
	}
	return nil
}

func (p *process) look() error { return p.lookAt(eachMap) }

func (p *process) lookForWriting() error { return p.lookAt(mapping.isShared) }

func eachMap(mapping) bool { return true }

// lookAt looks at the descriptors, and at those mappings of files that are to be told.
func (p *process) lookAt(told func(mapping) bool) error {
	tasks, err := p.tasks()
	if err != nil {
		return unlessGone(err)
	}
	p.visit.step()
	tables, err := p.tables(tasks)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := unlessGone(p.descriptors(table)); err != nil {
			return err
		}
	}
	return p.allMappings(tasks, told)
}

// tasks returns the threads of the process, the one that is named like it first.
func (p *process) tasks() ([]int, error) {
	names, err := namesAt(p.dir, "task")
	if err != nil {
		return nil, err
	}
	tasks := []int{p.pid}
	for _, tid := range numbers(names) {
		if tid != p.pid {
			tasks = append(tasks, tid)
		}
	}
	return tasks, nil
}

// tables returns the directories of all descriptor tables of the process. Nearly
// always that is one; but a thread may have left the common table (unshare(2)
// CLONE_FILES), and when the first thread has ended the common one is found only
// with the others. kcmp(2) answers in a microsecond per thread; looking through every
// thread's directory would cost as much as the first one's, each time.
func (p *process) tables(tasks []int) ([]string, error) {
	dirs := []string{"."}
	distinct := []int{p.pid}
next:
	for _, tid := range tasks[1:] {
		for _, other := range distinct {
			if p.scan.proc.sameTable(other, tid) {
				continue next
			}
		}
		distinct = append(distinct, tid)
		dirs = append(dirs, "task/"+strconv.Itoa(tid))
		if err := p.step(); err != nil {
			return nil, err
		}
	}
	return dirs, nil
}

// add records a writer, unless the process was found to write to that file already.
func (p *process) add(kind helper.WriterKind, f file, path string) {
	if p.seen == nil {
		p.seen = make(map[file]bool)
	}
	p.seen[f] = true
	p.found = append(p.found, helper.Writer{
		Kind:      kind,
		Protected: p.scan.targets.of(f.device, path),
		Path:      path,
	})
}

// identify says who the process is, in everything found. It is left for last: most
// processes hold nothing.
func (p *process) identify() {
	who := suspectAt(p.dir, p.pid)
	user := p.scan.users.name(who.uid)
	who.program = name(p.executable(), who.program)
	for i := range p.found {
		w := &p.found[i]
		w.PID, w.Program, w.UID, w.User, w.Unit = p.pid, who.program, who.uid, user, who.unit
	}
}

// executable returns the name of what the process executes, "" where that can't be read.
// What a process calls itself may be anything.
func (p *process) executable() string {
	exe, err := readLinkAt(p.dir, "exe", p.small)
	if err != nil || exe == "" {
		return ""
	}
	return filepath.Base(strings.TrimSuffix(exe, deletedSuffix))
}

// isKernelThread reports whether the process is a thread of the kernel. They hold no
// files, and can't be looked into by anyone but root.
func (p *process) isKernelThread() bool {
	data, err := readAt(p.dir, "stat", p.small)
	return err == nil && parseKernelThread(data)
}

// path returns where a link in /proc leads; "" when the path is longer than the
// kernel tells.
func (p *process) path(dir int, name string) string {
	path, err := readLinkAt(dir, name, p.small)
	if err != nil {
		return ""
	}
	return path
}

func unlessGone(err error) error {
	if gone(err) {
		return nil
	}
	return err
}
