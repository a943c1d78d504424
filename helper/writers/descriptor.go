package writers

import (
	"bytes"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"immutray.org/helper"
)

// descriptors finds the files that are open for writing in one descriptor table,
// given by the directory of a task that uses it.
func (p *process) descriptors(task string) error {
	dir, err := openAt(p.dir, task+"/fd", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return eachName(dir, ".", func(names []string) error {
		for _, fd := range names {
			p.descriptor(task, dir, fd)
			if err := p.step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// descriptor looks at one descriptor, at the cheapest and most telling first. Any
// error means that it is closed by now, or leads where we may not look: then it
// leads to no protected path.
func (p *process) descriptor(task string, dir int, fd string) {
	// The link has the bit w when the file was opened for writing
	// (tid_fd_update_inode in fs/proc/fd.c): most were not.
	var link unix.Stat_t
	if err := unix.Fstatat(dir, fd, &link, unix.AT_SYMLINK_NOFOLLOW); err != nil || link.Mode&unix.S_IWUSR == 0 {
		return
	}
	f, regular, err := statAt(dir, fd)
	if err != nil || !regular || !p.scan.targets.holds(f.device) || p.seen[f] {
		return
	}
	if !p.scan.proc.real && !p.confirmed(task, fd) {
		return
	}
	p.add(helper.WriterFile, f, p.path(dir, fd))
}

// confirmed asks fdinfo whether a descriptor is open for writing, where the bits of
// its link may mean nothing: in a procfs that is not the kernel's. In the kernel's the
// bit w is FMODE_WRITE itself, which the mount's writers are counted by, and asking
// costs as much again as everything else about a descriptor. Where fdinfo does not
// tell, the bits do.
func (p *process) confirmed(task, fd string) bool {
	info, err := readAt(p.dir, task+"/fdinfo/"+fd, p.small)
	if err != nil {
		return !gone(err)
	}
	flags, err := parseFdinfo(info)
	return err == nil && opensForWriting(flags)
}

// opensForWriting reports whether open flags ask for writing. A descriptor opened
// with O_PATH holds nothing, whatever else its flags say.
func opensForWriting(flags uint64) bool {
	if flags&unix.O_PATH != 0 {
		return false
	}
	mode := flags & unix.O_ACCMODE
	return mode == unix.O_WRONLY || mode == unix.O_RDWR
}

// parseFdinfo returns the open flags from a file of /proc/PID/fdinfo (seq_show in
// fs/proc/fd.c): lines of a name, a colon, a tab, a value; the flags in octal. Other
// lines depend on the kind of file.
//
//	pos:	0
//	flags:	0100002
//	mnt_id:	29
//	ino:	257
func parseFdinfo(data []byte) (uint64, error) {
	for line := range bytes.Lines(data) {
		value, found := bytes.CutPrefix(line, []byte("flags:"))
		if !found {
			continue
		}
		flags, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 8, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read the flags of a descriptor: %w", err)
		}
		return flags, nil
	}
	return 0, fmt.Errorf("cannot read the flags of a descriptor: no such line")
}
