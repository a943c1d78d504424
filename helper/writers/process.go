package writers

import (
	"bufio"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// A worker looks into one process after the other, with the same buffers.
type worker struct {
	scan  *scan
	small []byte        // for links and short files
	lines *bufio.Reader // for maps
}

// maxLink is more than the kernel ever tells as the target of a link in /proc: a
// page (do_proc_readlink in fs/proc/base.c).
const maxLink = 64 << 10

func newWorker(s *scan) *worker {
	return &worker{
		scan:  s,
		small: make([]byte, maxLink),
		lines: bufio.NewReaderSize(nil, maxMapsLine),
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
func (w *worker) process(pid int) ([]helper.Writer, error) {
	dir, err := openAt(w.scan.proc.root, strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, unlessGone(err)
	}
	defer unix.Close(dir)
	p := &process{worker: w, pid: pid, dir: dir}
	err = p.look()
	if len(p.found) > 0 {
		p.identify()
	}
	if err != nil && p.isKernelThread() {
		err = nil
	}
	return p.found, err
}

func (p *process) look() error {
	tasks, err := p.tasks()
	if err != nil {
		return unlessGone(err)
	}
	for _, table := range p.tables(tasks) {
		if err := unlessGone(p.descriptors(table)); err != nil {
			return err
		}
	}
	return p.allMappings(tasks)
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
// with the others. kcmp(2) tells in a microsecond per thread; looking through every
// thread's directory would cost as much as the first one's, each time.
func (p *process) tables(tasks []int) []string {
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
	}
	return dirs
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
	program, unit := p.program(), p.unit()
	var uid uint32
	var st unix.Stat_t
	// The directory belongs to the effective user, whatever else of the process
	// is hidden (task_dump_owner in fs/proc/base.c).
	if err := unix.Fstat(p.dir, &st); err == nil {
		uid = st.Uid
	}
	user := p.scan.users.name(uid)
	for i := range p.found {
		w := &p.found[i]
		w.PID, w.Program, w.UID, w.User, w.Unit = p.pid, program, uid, user, unit
	}
}

// program returns the name of the executable, or what the process calls itself where
// that can't be read. A process can call itself anything, up to 15 bytes.
func (p *process) program() string {
	if exe, err := readLinkAt(p.dir, "exe", p.small); err == nil && exe != "" {
		return filepath.Base(strings.TrimSuffix(exe, deletedSuffix))
	}
	comm, err := readAt(p.dir, "comm", p.small)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(comm), "\n")
}

func (p *process) unit() string {
	data, err := readAt(p.dir, "cgroup", p.small)
	if err != nil {
		return ""
	}
	return parseUnit(data)
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
