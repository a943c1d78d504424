// Package namespaces finds every mount namespace of the machine and, in each, the mounts
// that show a protected subvolume; and it sets and clears their mount flags.
//
// The mount flag holds in one mount namespace. A service with a sandbox of its own, a
// container and a shell below unshare(1) have copies of the mounts, with the flags that
// those had when the copy was made, and mount_setattr(2) changes a mount only from inside
// its namespace.
//
// What is in there belongs to others, who may be hostile: mounts move while they are
// looked at, and a path may lead to a file system whose server never answers. So a mount
// is known by its id and never by its path alone, no lookup is made on a file system that
// may wait for somebody, every visit has a deadline, and numbers are bounded.
//
// Out of sight are namespaces that are kept by an open descriptor alone, mounts that are
// attached nowhere, and, for changing them, mounts that another one hides. Programs that
// write there are found by their open files (package writers).
package namespaces

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"immutray.org/helper/mount"
	"immutray.org/helper/text"
)

const (
	// maxForeign bounds how many namespaces are looked into that anybody may have made
	// (user_namespaces(7)); how many are in reach besides is counted.
	maxForeign = 256
	// maxOwn bounds the others. Only root can make those.
	maxOwn = 4096
	// maxTasks is how many tasks of a namespace are remembered.
	maxTasks = 32
)

// A Namespace is a mount namespace.
type Namespace struct {
	// ID is the inode number of the namespace, namespaces(7).
	ID uint64
	// Self is whether it is the namespace of the caller.
	Self bool
	// Foreign is whether it belongs to another user namespace than the caller's: a
	// user may have made it, and flags in it may be locked (mount_namespaces(7)).
	Foreign bool
	// Tasks are processes and threads in it, at most [maxTasks]; none where only a bind
	// mount of the namespace keeps it.
	Tasks []int

	file *os.File
}

// A Set is what Find has found. It must be closed.
type Set struct {
	// Namespaces are ordered by age as far as their ids show it, the caller's own first and
	// foreign ones last.
	Namespaces []*Namespace
	// Left is how many were not opened: more than the bounds allow, or the kernel
	// refused; and how many processes hang, so that theirs is not known.
	Left int
}

// Close releases the namespaces.
func (s *Set) Close() {
	for _, n := range s.Namespaces {
		n.file.Close()
	}
}

// Find returns every mount namespace that has a process, a thread or, in the caller's own
// mount table, a bind mount. A process that hangs does not hold it up. The caller must be
// root. With an error other than the context's nothing is found.
func Find(ctx context.Context) (*Set, error) { return FindNew(ctx, nil) }

// FindNew is Find without those namespaces that are known by their ids.
func FindNew(ctx context.Context, known map[uint64]bool) (*Set, error) {
	v, err := NewVisitor()
	if err != nil {
		return nil, fmt.Errorf("cannot look for mount namespaces: %w", text.Because(err))
	}
	defer v.Close()
	f := &finder{proc: v.proc, known: map[uint64]*Namespace{}}
	for id := range known {
		f.known[id] = nil
	}
	if err := f.self(); err != nil {
		return nil, fmt.Errorf("cannot look for mount namespaces: %w", text.Because(err))
	}
	err = f.processes(ctx)
	if err == nil {
		err = f.pinned()
	}
	if err != nil && ctx.Err() == nil {
		f.set.Close()
		return nil, fmt.Errorf("cannot look for mount namespaces: %w", text.Because(err))
	}
	slices.SortStableFunc(f.set.Namespaces, func(a, b *Namespace) int {
		return cmp.Or(last(!a.Self, !b.Self), last(a.Foreign, b.Foreign), cmp.Compare(a.ID, b.ID))
	})
	return &f.set, ctx.Err()
}

// last orders what is so behind what is not.
func last(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

type finder struct {
	proc    int
	set     Set
	known   map[uint64]*Namespace // nil for one that was left
	user    fileID                // the caller's user namespace
	own     int
	foreign int
}

type fileID struct{ device, inode uint64 }

func (f *finder) self() error {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/user", &st); err != nil {
		return &os.PathError{Op: "stat", Path: "/proc/self/ns/user", Err: err}
	}
	f.user = fileID{st.Dev, st.Ino}
	// The process' first thread may be in another one than that which asks.
	id, err := readID(threadNamespace)
	if err != nil {
		return err
	}
	if _, known := f.known[id]; known {
		return nil
	}
	if f.add(id, threadNamespace, os.Open); f.known[id] == nil {
		return errors.New("its own can't be opened")
	}
	f.known[id].Self = true
	return nil
}

const threadNamespace = "/proc/thread-self/ns/mnt"

func (f *finder) processes(ctx context.Context) error {
	proc, err := os.Open("/proc")
	if err != nil {
		return err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	left := readEach(ctx, pids, readProcess, func(tasks []task) {
		for _, t := range tasks {
			f.task(t)
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.set.Left += left
	return nil
}

// A task is a process or thread, the namespace it is in, and the link to that.
type task struct {
	tid  int
	id   uint64
	link string
}

// readProcess returns a process and its threads, those that have ended left out.
func readProcess(pid int) []task {
	dir := fmt.Sprintf("/proc/%d", pid)
	tasks := appendTask(nil, pid, dir)
	var st unix.Stat_t
	// The kernel counts threads as links (proc_task_getattr in fs/proc/base.c).
	if unix.Stat(dir+"/task", &st) != nil || st.Nlink <= 3 {
		return tasks
	}
	threads, err := os.ReadDir(dir + "/task")
	if err != nil {
		return tasks // it has ended
	}
	for _, t := range threads {
		if tid, err := strconv.Atoi(t.Name()); err == nil && tid != pid {
			tasks = appendTask(tasks, tid, dir+"/task/"+t.Name())
		}
	}
	return tasks
}

func appendTask(tasks []task, tid int, dir string) []task {
	link := dir + "/ns/mnt"
	if id, err := readID(link); err == nil {
		tasks = append(tasks, task{tid, id, link})
	}
	return tasks
}

func (f *finder) task(t task) {
	if _, seen := f.known[t.id]; !seen {
		f.add(t.id, t.link, openTask)
	}
	if ns := f.known[t.id]; ns != nil && len(ns.Tasks) < maxTasks {
		ns.Tasks = append(ns.Tasks, t.tid)
	}
}

// Of returns the id of the namespace that a process is in. One that hangs gives
// os.ErrDeadlineExceeded.
func Of(pid int) (uint64, error) {
	return within(func() (uint64, error) { return readID(fmt.Sprintf("/proc/%d/ns/mnt", pid)) }, func(uint64) {})
}

func readID(link string) (uint64, error) {
	var text [64]byte
	n, err := unix.Readlink(link, text[:])
	if err != nil {
		return 0, &os.PathError{Op: "readlink", Path: link, Err: err}
	}
	id, ok := parseLink(string(text[:n]))
	if !ok {
		return 0, fmt.Errorf("%s leads to %q", link, text[:n])
	}
	return id, nil
}

// parseLink returns the id out of "mnt:[4026531841]", namespaces(7).
func parseLink(text string) (uint64, bool) {
	number, ok := strings.CutPrefix(text, "mnt:[")
	if !ok {
		return 0, false
	}
	number, ok = strings.CutSuffix(number, "]")
	id, err := strconv.ParseUint(number, 10, 64)
	return id, ok && err == nil
}

// pinned takes the namespaces that a bind mount keeps, as snapd's below /run/snapd/ns.
// The kernel allows that only in older namespaces (mnt_ns_loop in fs/namespace.c), in
// practice the caller's own.
func (f *finder) pinned() error {
	var st unix.Stat_t
	if err := unix.Stat(threadNamespace, &st); err != nil {
		return &os.PathError{Op: "stat", Path: threadNamespace, Err: err}
	}
	// All namespaces of the machine are files of one superblock (nsfs_init in fs/nsfs.c).
	nsfs := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	in := &inside{proc: f.proc}
	return in.each([]string{nsfs}, func(m mount.Summary) error {
		id, ok := parseLink(m.Root)
		if _, seen := f.known[id]; ok && !seen {
			f.pin(in, id, m)
		}
		return nil
	})
}

func (f *finder) pin(in *inside, id uint64, m mount.Summary) {
	fd, err := in.open(m)
	if err != nil {
		f.leave(id)
		return
	}
	defer unix.Close(fd)
	f.add(id, fmt.Sprintf("/proc/self/fd/%d", fd), os.Open)
}

func (f *finder) leave(id uint64) {
	f.known[id] = nil
	f.set.Left++
}

// add opens a namespace.
func (f *finder) add(id uint64, path string, open func(string) (*os.File, error)) {
	file, err := open(path)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
			f.leave(id)
		}
		return
	}
	n := &Namespace{ID: id, file: file}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil || st.Ino != id {
		file.Close() // the task has moved meanwhile; it is found where it is next time
		return
	}
	n.Foreign = f.isForeign(int(file.Fd()))
	count, most := &f.own, maxOwn
	if n.Foreign {
		count, most = &f.foreign, maxForeign
	}
	if *count >= most {
		file.Close()
		f.leave(id)
		return
	}
	*count++
	f.known[id] = n
	f.set.Namespaces = append(f.set.Namespaces, n)
}

// isForeign reports whether a namespace belongs to another user namespace than ours.
func (f *finder) isForeign(fd int) bool {
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil {
		return true // EPERM: to one that is not below ours (ioctl_nsfs(2))
	}
	defer unix.Close(owner)
	var st unix.Stat_t
	return unix.Fstat(owner, &st) != nil || fileID{st.Dev, st.Ino} != f.user
}
