package writers

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"immutray.org/helper/text"
)

// A procfs is the root of a proc file system, held by descriptor.
type procfs struct {
	root int
	// fresh is another instance, that no process has opened before; root where there
	// can be none.
	fresh int
	// real is whether it is the kernel's, so that the permissions of its links mean
	// what they mean there.
	real bool
	// own is whether its numbers are those of our own PID namespace, so that
	// system calls that take a PID mean the same process.
	own bool
}

// openProcfs opens the procfs at path, and one more instance of it for map_files.
//
// In an instance that lives on, the kernel remembers a link in map_files by its
// address range alone: when a process maps another file over the same range, the
// link keeps the permission bits of the first one, and those bits are how we tell
// whether a file was opened for writing (map_files_d_revalidate in fs/proc/base.c;
// TestMappingOverEarlierMapping shows it). A new instance has nothing to remember.
// Only map_files needs it: with 10,000 descriptors remembered and forgotten in it as
// well, a scan took more than twice as long (65 instead of 30 ms).
func openProcfs(path string) (*procfs, error) {
	root, err := openAt(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("cannot look for writers: %w", text.Because(err))
	}
	p := &procfs{root: root, fresh: root}
	var st unix.Statfs_t
	p.real = unix.Fstatfs(root, &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
	p.own = p.real && isOwn(root)
	if !p.own {
		return p, nil
	}
	// It takes CAP_SYS_ADMIN, and Linux 5.8 for an instance that is really new.
	// Without, what is said about mappings may be stale, and no more than that.
	if fresh, err := mountProcfs(); err == nil {
		p.fresh = fresh
	}
	return p, nil
}

func isOwn(root int) bool {
	self, err := readLinkAt(root, "self", make([]byte, 16))
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// mountProcfs mounts a procfs without attaching it: it is seen only through the
// descriptor, and goes when that is closed.
func mountProcfs() (int, error) {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

func (p *procfs) close() {
	if p.fresh != p.root {
		unix.Close(p.fresh)
	}
	unix.Close(p.root)
}

// pids returns every process.
func (p *procfs) pids() ([]int, error) {
	names, err := namesAt(p.root, ".")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	return numbers(names), nil
}

// sameTable reports whether two tasks share one descriptor table, as the threads of
// a process do. When the kernel can't tell they don't: looking twice finds no more,
// but not looking finds less.
func (p *procfs) sameTable(a, b int) bool {
	const kcmpFiles = 2 // KCMP_FILES in include/uapi/linux/kcmp.h
	if !p.own {
		return false
	}
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpFiles, 0, 0, 0)
	return errno == 0 && order == 0
}

// numbers returns the names that are a PID or descriptor number.
func numbers(names []string) []int {
	ns := make([]int, 0, len(names))
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			ns = append(ns, n)
		}
	}
	return ns
}
